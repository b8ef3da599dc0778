"""The way of a fetch from rows to batches, through the four hooks.

rows ──► fetch_callback or read ──► fetch_transform ──► batch_callback or cut ──► batch_transform ──► batch
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import hook
from scdataset.collections import Collection
from scdataset.collections.rows import as_rows, row_taker
from scdataset.errors import HookError

__all__ = ["Hooks"]

Hook = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the user does with rows on their way, each optional."""

    fetch_callback: Hook | None
    fetch_transform: Hook | None
    batch_callback: Hook | None
    batch_transform: Hook | None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            hook(name, getattr(self, name))

    def batches(
        self, source: Any, collection: Collection | None, rows: NDArray[np.int64], bounds: list[int]
    ) -> Iterator[Any]:
        """Fetch ``rows`` and yield batch after batch.

        Parameters
        ----------
        source, collection
            What the user passed, and the collection over it (None where there is a ``fetch_callback``).
        rows
            Rows in the order in which they are yielded.
        bounds
            ``rows[bounds[k]:bounds[k + 1]]`` are the rows of the k-th batch.
        """
        fetched, places = self._fetch(source, collection, rows)
        window = fetched if self.batch_callback else self._cuttable(fetched, rows.size)
        take = self.batch_callback or row_taker(window)
        for start, stop in pairwise(bounds):
            if places is not None:
                batch = take(window, places[start:stop])
            elif self.batch_callback:
                batch = take(window, np.arange(start, stop))
            else:
                batch = take(window, slice(start, stop))
            yield batch if self.batch_transform is None else self.batch_transform(batch)

    def _fetch(
        self, source: Any, collection: Collection | None, rows: NDArray[np.int64]
    ) -> tuple[Any, NDArray[np.int64] | None]:
        """Return what was fetched, and the places of ``rows`` in it unless they are in order."""
        places = None
        if self.fetch_callback:
            if np.any(rows[1:] < rows[:-1]):
                order = np.argsort(rows, kind="stable")
                places = np.empty_like(order)
                places[order] = np.arange(rows.size)
                rows = rows[order]
            fetched = self.fetch_callback(source, rows)
        else:
            assert collection is not None  # noqa: S101 there is one where there is no fetch_callback
            fetched = collection.read(rows)
        return (self.fetch_transform(fetched) if self.fetch_transform else fetched), places

    def _cuttable(self, fetched: Any, n_rows: int) -> Any:
        window = as_rows(fetched, n_rows)
        if window is None:
            origin = next((name for name in ("fetch_transform", "fetch_callback") if getattr(self, name)), "collection")
            shape = getattr(fetched, "shape", None)
            found = f"{len(fetched)} entries" if shape is None and hasattr(fetched, "__len__") else f"shape {shape}"
            message = (
                f"The {origin} returned a {type(fetched).__qualname__} of {found} for {n_rows} rows, which cannot be "
                "cut into batches. Return one entry a row (an array, tensor, sparse matrix, frame, AnnData, "
                "MultiIndexable, or a dict or tuple of those), or give a batch_callback(fetched, positions)."
            )
            raise HookError(message)
        return window
