"""Rows that are in memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.collections.rows import RowIndex, as_rows, cut_rows, row_taker
from scdataset.errors import CollectionError

__all__ = ["Fetched", "InMemory"]


class InMemory:
    """A container that `take_rows` takes rows of in any order, into new memory.

    Attributes
    ----------
    gives_batches
        Whether to take batch by batch costs no more than to take a window and cut it.
    """

    gives_batches = True

    def __init__(self, source: Any) -> None:
        self.source = source
        self._take = row_taker(source)

    def __len__(self) -> int:
        shape = getattr(self.source, "shape", None)
        return len(self.source) if shape is None else int(shape[0])

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Take the rows."""
        return self.take(rows)

    def take(self, rows: RowIndex) -> Any:
        """Take the rows: a view where a slice is one."""
        return self._take(self.source, rows)

    def cut(self, rows: slice) -> Any:
        """Take rows from start to stop, without holding the memory of the others."""
        return cut_rows(self.source, rows)

    def fingerprint(self) -> str:
        """Return type, shape and dtype."""
        shape = getattr(self.source, "shape", (len(self),))
        return f"{type(self.source).__qualname__}:{tuple(shape)}:{getattr(self.source, 'dtype', '')}"


class Fetched(InMemory):
    """What reading gave: ``n_rows`` rows, in whatever form, a dict or list of columns among them."""

    def __init__(self, fetched: Any, n_rows: int) -> None:
        window = as_rows(fetched, n_rows)
        if window is None:
            message = (
                f"Reading {n_rows} rows gave a {type(fetched).__qualname__} that does not have that many rows. Give "
                "a collection whose read(rows) returns one entry a row."
            )
            raise CollectionError(message)
        super().__init__(window)
        self._n_rows = n_rows

    def __len__(self) -> int:
        return self._n_rows

    @classmethod
    def of_rows(cls, source: Any, n_rows: int) -> "Fetched":
        """Return what was taken of something that was read, which is known to have ``n_rows`` rows."""
        part = cls.__new__(cls)
        part.source, part._take, part._n_rows = source, row_taker(source), n_rows  # noqa: SLF001 our own
        return part
