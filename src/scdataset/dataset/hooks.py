"""The four hooks, called on the rows of a fetch on their way to batches.

rows ──► fetch_callback or read ──► fetch_transform ──► batch_callback or cut ──► batch_transform ──► batch
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Never, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import hook
from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections.rows import apart, as_window, row_cutter, row_taker
from scdataset.dataset.ahead import Fetch
from scdataset.engine.observer import observed, observer_here
from scdataset.errors import HookError, ScDatasetError
from scdataset.strategy.row_keys import RowKeys, needs_keys

__all__ = ["HOOK_ARGUMENTS", "Divided", "Hook", "Hooks", "KeysOf", "Window"]

Hook = Callable[..., Any]

_SHOWN = 120
"""Characters of a foreign error that a message repeats."""

KeysOf = Callable[[NDArray[np.int64]], RowKeys]
"""Makes the keys of some rows, in the epoch that is iterated over."""

HOOK_ARGUMENTS = {
    "fetch_callback": ("collection", "rows"),
    "fetch_transform": ("fetched",),
    "batch_callback": ("fetched", "positions"),
    "batch_transform": ("batch",),
}
"""Arguments of each hook, in the order in which the hooks are called; a transform that needs keys has those as well."""


@runtime_checkable
class Divided(Protocol):
    """A ``fetch_transform`` that makes rows larger, such as dense: too large for all of a window at once."""

    def divided(self) -> tuple[Hook | None, Hook | None]:
        """Return the part to be called with windows, and the part to be called with their batches afterwards."""
        ...


class Window(NamedTuple):
    """A window as it was read.

    Attributes
    ----------
    fetched
        The rows, in whatever form.
    rows
        Their numbers, in the order in which they are yielded.
    bounds
        ``bounds[k]`` to ``bounds[k + 1]`` are the rows of the k-th batch.
    places
        Where in ``fetched`` the rows are, or None if they are in the order in which they are yielded.
    """

    fetched: RowData
    rows: NDArray[np.int64]
    bounds: list[int]
    places: NDArray[np.int64] | None = None

    @property
    def read_rows(self) -> NDArray[np.int64]:
        """The numbers of the rows, in the order of ``fetched``."""
        return self.rows if self.places is None else np.sort(self.rows)

    @property
    def rows_of_batches(self) -> Iterator[NDArray[np.int64]]:
        """The numbers of the rows of each batch."""
        return (self.rows[start:stop] for start, stop in pairwise(self.bounds))


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

    def divided(self) -> tuple["Hooks", Hook | None]:
        """Return the hooks with the part of ``fetch_transform`` for windows alone, and its part for batches."""
        if self.batch_callback or not isinstance(self.fetch_transform, Divided):
            return self, None
        of_windows, of_batches = self.fetch_transform.divided()
        return replace(self, fetch_transform=of_windows), of_batches

    def batches(
        self,
        window: Window,
        keys_of: KeysOf,
        *,
        is_transformed: bool = False,
        of_batches: Hook | None = None,
        made: Callable[[Iterator[RowData]], Iterator[RowData]] = iter,
    ) -> Iterator[RowData]:
        """Transform a window and return its batches.

        Parameters
        ----------
        is_transformed
            Whether ``fetch_transform`` was called already.
        of_batches, made
            The part of ``fetch_transform`` for batches, and how its results are iterated over.
        """
        fetched = window.fetched
        if not is_transformed and self.fetch_transform:
            fetched = self.transform_window(fetched, window.read_rows, keys_of)
        cut = self._cut_by_callback(fetched, window) if self.batch_callback else self._cut(fetched, window)
        if of_batches is not None:
            pairs = zip(cut, window.rows_of_batches, strict=True)
            cut = made(_called("fetch_transform", of_batches, batch, rows, keys_of) for batch, rows in pairs)
        return self.transformed(cut, window, keys_of)

    def transform_window(self, fetched: RowData, rows: NDArray[np.int64], keys_of: KeysOf) -> RowData:
        """Apply ``fetch_transform`` to a window of ``rows``, in that order."""
        return _called("fetch_transform", self.fetch_transform, fetched, rows, keys_of)

    def transformed(self, batches: Iterator[object], window: Window, keys_of: KeysOf) -> Iterator[RowData]:
        """Apply ``batch_transform`` to the batches of a window, and refuse None from a hook."""
        if self.batch_transform or self.batch_callback:
            return self._checked(batches, window.rows_of_batches, keys_of)
        return batches

    def _checked(
        self, batches: Iterator[object], rows_of_batches: Iterator[NDArray[np.int64]], keys_of: KeysOf
    ) -> Iterator[object]:
        transform = self.batch_transform
        has_keys = transform is not None and needs_keys(transform)
        plain = None if transform is None else _timed("batch_transform", transform)

        def made(cut: RowData) -> RowData:
            if has_keys:
                batch = _called("batch_transform", transform, cut, next(rows_of_batches), keys_of)
            else:
                batch = cut if plain is None else plain(cut)
            if batch is None:
                self._refuse_none()
            return apart(batch) if batch is cut else batch

        for cut in batches:
            yield made(cut)  # under no name, so that a loop that drops it has its memory for the next

    @property
    def need_windows(self) -> bool:
        """Whether one of them works on whole windows."""
        return any((self.fetch_callback, self.fetch_transform, self.batch_callback))

    def _cut_by_callback(self, fetched: RowData, window: Window) -> Iterator[object]:
        assert self.batch_callback is not None  # noqa: S101 only called where there is one
        take = _timed("batch_callback", self.batch_callback)
        positions = np.arange(window.bounds[-1]) if window.places is None else window.places
        return (take(fetched, positions[start:stop]) for start, stop in pairwise(window.bounds))

    def _cut(self, fetched: RowData, window: Window) -> Iterator[RowData]:
        """Yield the rows of each batch, or say whose window it is if it has none to be taken."""
        places, n_rows, reason, cuttable = window.places, window.bounds[-1], None, None
        try:
            cuttable = as_window(fetched, n_rows)
        except RuntimeError as error:  # a nested tensor has no shape
            reason = error
        if cuttable is None:
            raise self._no_rows(fetched, n_rows, reason) from reason
        take: Hook = row_cutter(cuttable) if places is None else row_taker(cuttable)
        try:
            for start, stop in pairwise(window.bounds):
                yield take(cuttable, slice(start, stop) if places is None else places[start:stop])
        except ScDatasetError:
            raise
        except (TypeError, RuntimeError) as error:
            raise self._no_rows(cuttable, n_rows, error) from error

    def windows(self, source: RowData, fetches: Iterator[Fetch]) -> Iterator[Window]:
        """Yield the result of ``fetch_callback`` for the rows of each fetch, which it gets in ascending order."""
        assert self.fetch_callback is not None  # noqa: S101 only called where there is one
        for rows, bounds in fetches:
            ascending, places = rows, None
            if not np.all(rows[1:] >= rows[:-1]):
                order = np.argsort(rows)
                places = np.empty_like(order)
                places[order] = np.arange(rows.size)
                ascending = rows[order]
            with observed("fetch_callback", windows=1, window_rows=rows.size):
                fetched = self.fetch_callback(source, ascending)
            yield Window(fetched, rows, bounds, places)

    def _refuse_none(self) -> Never:
        name = "batch_transform" if self.batch_transform else "batch_callback"
        message = f"The {name} returned None in place of a batch; end it with a return of its result."
        raise HookError(message)

    def _no_rows(self, fetched: Any, n_rows: int, reason: object = None) -> HookError:
        origin = next((name for name in ("fetch_transform", "fetch_callback") if getattr(self, name)), "collection")
        if fetched is None:
            message = f"The {origin} returned None for {counted(n_rows, 'row')}; end it with a return of its result."
            return HookError(message)
        found = _described(fetched, n_rows) if reason is None else f" ({str(reason).strip().splitlines()[0][:_SHOWN]})"
        message = (
            f"The {origin} returned a {type(fetched).__qualname__}{found} for {counted(n_rows, 'row')}, which "
            "cannot be cut into batches. Return one entry a row (an array, tensor, sparse matrix, frame, "
            "AnnData, MultiIndexable, or a dict or tuple of those), or give a batch_callback(fetched, positions)."
        )
        return HookError(message)


def _described(fetched: Any, n_rows: int) -> str:
    """Return the size of a window that cannot be cut; of a dict, the entry that cannot."""
    if isinstance(fetched, Mapping):
        unlike = (name for name in fetched if as_window({name: fetched[name]}, n_rows) is None)
        if (name := next(unlike, None)) is not None:
            value = fetched[name]
            return f" whose entry {name!r} is a {type(value).__qualname__}{_described(value, n_rows)}"
    shape = getattr(fetched, "shape", None)
    if shape is not None:
        return f" of shape {shape}"
    return f" of {counted(len(fetched), 'entry')}" if hasattr(fetched, "__len__") else ""


def _timed(name: str, function: Hook) -> Hook:
    """Return the function; where this thread is observed, one whose seconds are counted to ``name``."""
    if observer_here() is None:
        return function

    def timed(*arguments: object) -> object:
        with observed(name):
            return function(*arguments)

    return timed


def _called(name: str, transform: Hook | None, value: RowData, rows: NDArray[np.int64], keys_of: KeysOf) -> RowData:
    """Call a transform, if there is one, with the keys of ``rows`` if it needs them."""
    if transform is None:
        return value
    if not needs_keys(transform):
        with observed(name):
            return transform(value)
    n_rows = _n_rows(value)
    if n_rows is not None and n_rows != rows.size:
        origin = "fetch_callback" if name == "fetch_transform" else "batch_callback"
        message = (
            f"{name} needs the key of every row, and got {counted(n_rows, 'row')} for the {rows.size:,} that were "
            f"asked for, so that their keys are not known; return those rows, in their order, from the {origin}."
        )
        raise HookError(message)
    with observed(name):
        return transform(value, keys_of(rows))


def _n_rows(value: Any) -> int | None:
    """Return the number of rows of a window or batch; None where that cannot be told from outside."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return int(shape[0])
    is_sized = hasattr(value, "__len__") and not isinstance(value, (Mapping, tuple, list))
    return len(value) if is_sized else None
