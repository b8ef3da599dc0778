"""Rows that are in memory."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections.rows import RowIndex, as_rows, cut_rows, row_taker, take_rows
from scdataset.errors import CollectionError

__all__ = ["BatchTaker", "Fetched", "InMemory", "TakesBatches"]

BatchTaker = Callable[[NDArray[np.int64]], RowData]
"""Takes some rows from memory, in any order."""


@runtime_checkable
class TakesBatches(Protocol):
    """A collection that gives batches without a window."""

    def batch_taker(self, *, leave: bool) -> BatchTaker | None:
        """Return a function that takes rows, for one iteration; None where reading and cutting a window costs less.

        Those that ``leave`` the loop as they are may hold no memory of other rows; those that a ``batch_transform``
        gets may.
        """
        ...


class InMemory:
    """A container that `take_rows` takes rows of in any order, into new memory."""

    def __init__(self, source: RowData) -> None:
        self.source: Any = source

    def __len__(self) -> int:
        shape = getattr(self.source, "shape", None)
        return len(self.source) if shape is None else int(shape[0])

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Take the rows."""
        return self.take(rows)

    def take(self, rows: RowIndex) -> RowData:
        """Take the rows: a view where a slice is one."""
        return take_rows(self.source, rows)

    def batch_taker(self, *, leave: bool) -> BatchTaker | None:  # noqa: ARG002 of most, taking is copying
        """Return a function that takes rows, for one iteration; None where reading and cutting a window costs less."""
        return partial(row_taker(self.source), self.source)

    def cut(self, rows: slice) -> RowData:
        """Take rows from start to stop, without holding the memory of the others."""
        return cut_rows(self.source, rows)

    def fingerprint(self) -> str:
        """Return type, shape and dtype."""
        shape = getattr(self.source, "shape", (len(self),))
        return f"{type(self.source).__qualname__}:{tuple(shape)}:{getattr(self.source, 'dtype', '')}"


class Fetched(InMemory):
    """A window that was read: ``n_rows`` rows, in whatever form, a dict or list of columns among them."""

    def __init__(self, fetched: RowData, n_rows: int) -> None:
        window = as_rows(fetched, n_rows)
        if window is None:
            message = (
                f"Reading {counted(n_rows, 'row')} gave a {type(fetched).__qualname__} that does not have that many "
                "rows. Give a collection whose read(rows) returns one entry a row."
            )
            raise CollectionError(message)
        super().__init__(window)
        self._n_rows = n_rows

    def __len__(self) -> int:
        return self._n_rows

    @classmethod
    def from_rows(cls, source: RowData, n_rows: int) -> "Fetched":
        """Wrap rows that were taken of a window, which are known to be ``n_rows``."""
        part = cls.__new__(cls)
        part.source, part._n_rows = source, n_rows  # noqa: SLF001 our own
        return part
