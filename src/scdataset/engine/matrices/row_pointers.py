"""The row pointers of a row-sparse matrix, in about two bytes a row."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array

__all__ = ["RowPointers", "fill_spans", "pieces_of"]

_GROUP = 64
"""Rows that share a first element: as many lengths are added up at most to find a row."""


_RARE = 1024
"""One row in so many may be longer than the type of lengths holds, and is noted apart: one cell of a million elements
must not double the memory of all others."""

_PIECE = 1 << 19
"""Entries of a row pointer that are read at a time, about: 4 MB."""


@dataclass(frozen=True, slots=True)
class RowPointers:
    """The row pointers of a row-sparse matrix, stored as lengths in the smallest unsigned type.

    Attributes
    ----------
    lengths
        Elements in each row, shape ``(n_rows,)``, uint8 to uint64; the largest number of the type for longer rows.
    firsts
        First element of every 64th row, shape ``(ceil(n_rows / 64),)``, int64.
    long_rows, excess
        Rows that are longer than the type of ``lengths`` holds, ascending, and by how much; shape ``(n_long,)``, int64.
    """

    lengths: Array
    firsts: NDArray[np.int64]
    long_rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    excess: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def from_pointers(cls, indptr: Array, n_elements: int) -> "RowPointers":
        """Make the row pointers from stored ones in memory, shape ``(n_rows + 1,)``; see `from_pieces`."""
        return cls.from_pieces([indptr], indptr.size - 1, n_elements)

    @classmethod
    def from_pieces(cls, pieces: Iterable[Array], n_rows: int, n_elements: int) -> "RowPointers":
        """Make the row pointers from pieces that follow each other, ``n_rows + 1`` entries in all.

        Raises
        ------
        ValueError
            If it does not rise from 0 to ``n_elements``, saying where.
        """
        noted = _Lengths(max(n_rows, 0))
        firsts = np.zeros(-(-max(n_rows, 0) // _GROUP), np.int64)
        start, end, row, fall = None, 0, 0, None
        for pointers in _overlapping(pieces):
            start, end = int(pointers[0]) if start is None else start, int(pointers[-1])
            falls = pointers[1:] < pointers[:-1]  # not by the differences, which can overflow
            if fall is None and falls.any():
                fall = row + int(np.argmax(falls))
            if start == 0 and fall is None:
                noted.add(np.diff(pointers), row)
                firsts[-(-row // _GROUP) : -(-(row + falls.size) // _GROUP)] = pointers[:-1][-row % _GROUP :: _GROUP]
            row += falls.size
        if start != 0 or end != n_elements:
            ends = "no entries" if start is None else f"{start} at its start and {end} at its end"
            message = f"has {ends}; it has to go from 0 to {n_elements}, the number of stored elements"
            raise ValueError(message)
        if fall is not None:
            message = f"falls after row {fall}; it must never fall"
            raise ValueError(message)
        return cls(noted.lengths, firsts, noted.long_rows, noted.long_lengths - noted.limit)

    @classmethod
    def from_arrays(cls, arrays: Sequence[Array], n_rows: int, n_elements: int) -> "RowPointers | None":
        """Return the table of two arrays, or None if they are not one of so many rows and elements."""
        if len(arrays) != 4 or [array.size for array in arrays[:2]] != [n_rows, -(-n_rows // _GROUP)]:
            return None
        lengths, *others = arrays
        unsigned = lengths.dtype.kind == "u" and lengths.dtype.isnative
        if not unsigned or any(array.dtype != np.int64 for array in others) or others[1].size != others[2].size:
            return None
        table = cls(lengths, *others)
        return table if table._agrees(n_elements) else None

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays that `from_arrays` takes."""
        return self.lengths, self.firsts, self.long_rows, self.excess

    @property
    def n_elements(self) -> int:
        """Elements in all rows."""
        return int(self.lengths.sum(dtype=np.int64) + self.excess.sum())

    def __len__(self) -> int:
        return self.lengths.size

    def spans(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first element and the number of elements of each row, both int64 of the shape of ``rows``."""
        starts, lengths = np.empty(rows.size, np.int64), np.empty(rows.size, np.int64)
        fill_spans(rows, self.lengths, self.firsts, self.long_rows, self.excess, starts, lengths)
        return starts, lengths

    def _agrees(self, n_elements: int) -> bool:
        """Tell whether ``firsts`` are the sums of the lengths, and the last one ``n_elements``.

        Not compiled: opening a file has not to wait for numba to start.
        """
        lengths, firsts, long_rows = self.lengths, self.firsts, self.long_rows
        longest = max(int(lengths.max(initial=0)), int(self.excess.max(initial=0)))
        if longest > min(n_elements, np.iinfo(np.int64).max // _GROUP // 2):
            return False
        if long_rows.size and not (
            long_rows[0] >= 0
            and long_rows[-1] < lengths.size
            and np.all(np.diff(long_rows) > 0)
            and np.all(lengths[long_rows] == np.iinfo(lengths.dtype).max)
            and self.excess.min() > 0
        ):
            return False
        if firsts.size == 0:
            return n_elements == 0
        if firsts[0] != 0 or firsts.min() < 0 or firsts.max() > n_elements:
            return False
        n_whole = lengths.size // _GROUP
        sums = np.zeros(firsts.size, np.int64)
        sums[:n_whole] = lengths[: n_whole * _GROUP].reshape(-1, _GROUP).sum(axis=1, dtype=np.int64)
        sums[n_whole:] = lengths[n_whole * _GROUP :].sum(dtype=np.int64)
        np.add.at(sums, long_rows // _GROUP, self.excess)
        return np.array_equal(np.diff(firsts, append=n_elements), sums)

    def most_in(self, start: int, stop: int) -> int:
        """Return how many of the elements [start, stop) are of one row, at most."""
        first, last = int(np.searchsorted(self.firsts, start, "right")), int(np.searchsorted(self.firsts, stop, "left"))
        starts, lengths = self.spans(np.arange(max(first - 1, 0) * _GROUP, min(last * _GROUP, len(self))))
        return int((np.minimum(starts + lengths, stop) - np.maximum(starts, start)).max(initial=0))


def pieces_of(size: int, chunk: int) -> Iterator[slice]:
    """Cut a stored row pointer of ``size`` entries into pieces of a few MB, made of whole chunks."""
    step = max(_PIECE // max(chunk, 1), 1) * max(chunk, 1)
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def _overlapping(pieces: Iterable[Array]) -> Iterator[NDArray[np.int64]]:
    """Return pieces that begin with the last entry of the one before, as int64."""
    last = np.empty(0, np.int64)
    for piece in pieces:
        if piece.dtype.kind not in "iu":
            message = f"is of type {piece.dtype}; it has to be integers"
            raise ValueError(message)
        pointers = np.concatenate((last, piece.astype(np.int64, copy=False)))
        last = pointers[-1:]
        if pointers.size:
            yield pointers


class _Lengths:
    """Lengths of rows, in the smallest type that nearly all of them fit.

    Attributes
    ----------
    lengths
        As in `RowPointers`.
    long_rows, long_lengths
        Rows that are longer than ``limit``, the largest number of the type, and their lengths.
    """

    def __init__(self, n_rows: int) -> None:
        self.lengths: Array = np.zeros(n_rows, np.uint8)
        self.long_rows = self.long_lengths = np.empty(0, np.int64)

    @property
    def limit(self) -> int:
        return min(np.iinfo(self.lengths.dtype).max, np.iinfo(np.int64).max)

    def add(self, some: NDArray[np.int64], row: int) -> None:
        """Note the lengths of rows from ``row`` on, which follow those that were noted before."""
        long = np.flatnonzero(some > self.limit)
        while self.long_rows.size + long.size > self.lengths.size // _RARE:
            self._widen()
            long = np.flatnonzero(some > self.limit)
        self.lengths[row : row + some.size] = np.minimum(some, self.limit)
        self.long_rows = np.concatenate((self.long_rows, row + long))
        self.long_lengths = np.concatenate((self.long_lengths, some[long]))

    def _widen(self) -> None:
        self.lengths = self.lengths.astype(f"u{2 * self.lengths.itemsize}")
        self.lengths[self.long_rows] = np.minimum(self.long_lengths, self.limit)
        is_long = self.long_lengths > self.limit
        self.long_rows, self.long_lengths = self.long_rows[is_long], self.long_lengths[is_long]


@compiled
def fill_spans(
    rows: NDArray[np.int64],
    lengths: Array,
    firsts: NDArray[np.int64],
    long_rows: NDArray[np.int64],
    excess: NDArray[np.int64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Write the first element and the number of elements of each row, given the arrays of `RowPointers`."""
    for i in range(rows.size):
        row = rows[i]
        group = row // _GROUP
        start = firsts[group]
        for before in range(group * _GROUP, row):
            start += np.int64(lengths[before])
        count = np.int64(lengths[row])
        if long_rows.size:
            k = _first_at_or_above(long_rows, group * _GROUP)
            while k < long_rows.size and long_rows[k] < row:
                start += excess[k]
                k += 1
            if k < long_rows.size and long_rows[k] == row:
                count += excess[k]
        starts[i] = start
        counts[i] = count


@compiled
def _first_at_or_above(ascending: NDArray[np.int64], value: int) -> int:
    """Do as ``np.searchsorted``, of which numba's version takes half a second to compile."""
    low, high = int(np.int64(0)), ascending.size  # of one type, or the loop would be compiled for two
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return int(low)
