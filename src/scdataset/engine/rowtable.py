"""Where rows begin: about two bytes a row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled

__all__ = ["RowTable"]

_GROUP = 64
"""Rows that share a first element: as many lengths are added up at most to find a row."""


@dataclass(frozen=True, slots=True)
class RowTable:
    """The row pointer of a row-sparse matrix, kept as lengths in the smallest unsigned type.

    Attributes
    ----------
    lengths
        Elements in each row, shape ``(n_rows,)``, uint8 to uint64.
    firsts
        First element of every 64th row, shape ``(ceil(n_rows / 64),)``, int64.
    """

    lengths: NDArray[Any]
    firsts: NDArray[np.int64]

    @classmethod
    def of_pointers(cls, indptr: NDArray[Any], n_elements: int) -> "RowTable":
        """Make the table from a row pointer, shape ``(n_rows + 1,)``.

        Raises
        ------
        ValueError
            If it does not rise from 0 to ``n_elements``, saying where.
        """
        if indptr.dtype.kind not in "iu":
            message = f"is of type {indptr.dtype}; it has to be integers"
            raise ValueError(message)
        pointers = indptr.astype(np.int64, copy=False)
        if pointers.size == 0 or pointers[0] != 0 or pointers[-1] != n_elements:
            ends = "no entries" if pointers.size == 0 else f"{pointers[0]} at its start and {pointers[-1]} at its end"
            message = f"has {ends}; it has to go from 0 to {n_elements}, the number of stored elements"
            raise ValueError(message)
        falls = pointers[1:] < pointers[:-1]  # not by the differences, which can overflow
        if falls.any():
            message = f"falls after row {int(np.argmax(falls))}; it must never fall"
            raise ValueError(message)
        lengths = np.diff(pointers)
        smallest = np.min_scalar_type(int(lengths.max(initial=0)))
        return cls(lengths.astype(smallest), pointers[:-1:_GROUP].copy())

    def __len__(self) -> int:
        return self.lengths.size

    def spans(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first element and the number of elements of each row, both int64 of the shape of ``rows``."""
        return _spans(rows, self.lengths, self.firsts)


@compiled
def _spans(
    rows: NDArray[np.int64], lengths: NDArray[Any], firsts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.empty(rows.size, np.int64)
    counts = np.empty(rows.size, np.int64)
    for i in range(rows.size):
        row = rows[i]
        group = row // _GROUP
        start = firsts[group]
        for before in range(group * _GROUP, row):
            start += np.int64(lengths[before])
        starts[i] = start
        counts[i] = np.int64(lengths[row])
    return starts, counts
