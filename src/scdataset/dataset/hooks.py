"""The way of a fetch from rows to batches, through the four hooks.

rows ──► fetch_callback or read ──► fetch_transform ──► batch_callback or cut ──► batch_transform ──► batch
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import hook
from scdataset.collections.rows import apart, as_window, row_cutter, row_taker
from scdataset.errors import HookError

__all__ = ["HOOK_ARGUMENTS", "Hook", "Hooks"]

Hook = Callable[..., Any]

HOOK_ARGUMENTS = {
    "fetch_callback": ("collection", "rows"),
    "fetch_transform": ("fetched",),
    "batch_callback": ("fetched", "positions"),
    "batch_transform": ("batch",),
}
"""Arguments of each hook, in the order in which the hooks are called."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """The user's functions for rows on their way, each optional."""

    fetch_callback: Hook | None
    fetch_transform: Hook | None
    batch_callback: Hook | None
    batch_transform: Hook | None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            hook(name, getattr(self, name))

    def batches(
        self, fetched: Any, places: NDArray[np.int64] | None, bounds: list[int], *, is_transformed: bool = False
    ) -> Iterator[Any]:
        """Transform a window and return its batches.

        Parameters
        ----------
        fetched
            Rows as they were read.
        places
            Where in ``fetched`` the rows are, in the order in which they are yielded, or None if they are in it.
        bounds
            ``bounds[k]`` to ``bounds[k + 1]`` are the rows of the k-th batch.
        is_transformed
            Whether ``fetch_transform`` was called already.
        """
        if self.fetch_transform and not is_transformed:
            fetched = self.fetch_transform(fetched)
        return self.transformed(self._cut(fetched, places, bounds))

    def transformed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Apply ``batch_transform`` to batches, and refuse None from a hook."""
        return self._checked(batches) if self.batch_transform or self.batch_callback else batches

    def _checked(self, batches: Iterator[Any]) -> Iterator[Any]:
        for cut in batches:
            batch = cut if self.batch_transform is None else self.batch_transform(cut)
            if batch is None:
                self._refuse_none()
            yield apart(batch) if batch is cut else batch

    @property
    def need_windows(self) -> bool:
        """Whether one of them works on whole windows."""
        return any((self.fetch_callback, self.fetch_transform, self.batch_callback))

    def _cut(self, fetched: Any, places: NDArray[np.int64] | None, bounds: list[int]) -> Iterator[Any]:
        window = fetched if self.batch_callback else self._cuttable(fetched, bounds[-1])
        if self.batch_callback or places is not None:
            take = self.batch_callback or row_taker(window)
            positions = np.arange(bounds[-1]) if places is None else places
            return (take(window, positions[start:stop]) for start, stop in pairwise(bounds))
        cut = row_cutter(window)
        return (cut(window, slice(start, stop)) for start, stop in pairwise(bounds))

    def call_fetch(self, source: Any, rows: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64] | None]:
        """Call ``fetch_callback`` with ascending rows; return its result and the places of ``rows`` in it."""
        assert self.fetch_callback is not None  # noqa: S101 only called where there is one
        if np.all(rows[1:] >= rows[:-1]):
            return self.fetch_callback(source, rows), None
        order = np.argsort(rows)
        places = np.empty_like(order)
        places[order] = np.arange(rows.size)
        return self.fetch_callback(source, rows[order]), places

    def _refuse_none(self) -> Never:
        name = "batch_transform" if self.batch_transform else "batch_callback"
        message = f"The {name} returned None in place of a batch; end it with a return of what it made."
        raise HookError(message)

    def _cuttable(self, fetched: Any, n_rows: int) -> Any:
        window = as_window(fetched, n_rows)
        if window is None:
            origin = next((name for name in ("fetch_transform", "fetch_callback") if getattr(self, name)), "collection")
            shape = getattr(fetched, "shape", None)
            if fetched is None:
                message = f"The {origin} returned None for {n_rows} rows; end it with a return of what it made."
                raise HookError(message)
            found = f"{len(fetched)} entries" if shape is None and hasattr(fetched, "__len__") else f"shape {shape}"
            message = (
                f"The {origin} returned a {type(fetched).__qualname__} of {found} for {n_rows} rows, which cannot be "
                "cut into batches. Return one entry a row (an array, tensor, sparse matrix, frame, AnnData, "
                "MultiIndexable, or a dict or tuple of those), or give a batch_callback(fetched, positions)."
            )
            raise HookError(message)
        return window
