"""Sets of rows as bits: position in, row out, in a seventh of a byte for each row of the collection.

Bits are counted once in strata of 512. The stratum of a position is found by bisection of these counts, between those
of two positions around it that are known, and the bit in it by counting the bits of its eight words: rank and select
(Jacobson 1989)::

    words   10110000 ...  00000000 ...  01000001 ...        8 words of 64 bits a stratum
    ranks   0             3             3             5     rows below a stratum
    hints   0 ... 2                                         stratum of every 512th position, and the last one
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array

__all__ = ["Bitmap", "fill_rows"]

_WORD = 64
_STRATUM_WORDS = 8
_STRATUM = _WORD * _STRATUM_WORDS

_PIECE = 1 << 20
"""Rows that are looked at together where all are."""

_TOGETHER = 256
"""Positions that are looked up together."""

_MIN_LIST = 1 << 24
"""Bytes of a list of rows from which on bits may take its place, which are looked up at a third of its speed."""

_ONES = np.array([byte.bit_count() for byte in range(256)], np.uint8)

_ONE = np.uint64(1)
_IN_WORD = np.uint64(_WORD - 1)
_PAIRS, _FOURS, _EIGHTS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_SUM, _BY_1, _BY_2, _BY_4, _BY_56 = np.uint64(0x0101010101010101), _ONE, np.uint64(2), np.uint64(4), np.uint64(56)


class Bitmap(NamedTuple):
    """A set of rows.

    Attributes
    ----------
    words
        Bit ``row % 64`` of word ``row // 64`` is set for the rows of the set, shape ``(8 * n_strata,)``.
    ranks
        Rows of the set below each stratum, and of the whole set, shape ``(n_strata + 1,)``; shape ``(0,)`` where there
        is no set.
    hints
        Stratum of every 512th position, and the last one, shape ``(count // 512 + 2,)``, int32.
    """

    words: NDArray[np.uint64]
    ranks: NDArray[np.int64]
    hints: NDArray[np.int32]

    @classmethod
    def none(cls) -> "Bitmap":
        """Return a bitmap that stands for no set."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int32))

    @staticmethod
    def is_smaller(count: int, n_rows: int) -> bool:
        """Tell whether a set of ``count`` of ``n_rows`` rows takes less than half of their list, which is long."""
        return count * 8 >= _MIN_LIST and n_rows // 8 < count * 4

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_]) -> "Bitmap":
        """Make the set of the rows where a mask is True."""
        packed = np.packbits(mask, bitorder="little")
        octets = np.zeros(-(-packed.size // (_STRATUM // 8)) * (_STRATUM // 8), np.uint8)
        octets[: packed.size] = packed
        counts = _ONES[octets].reshape(-1, _STRATUM // 8).sum(axis=1, dtype=np.int64)
        ranks = np.concatenate([[0], np.cumsum(counts)])
        hints = np.searchsorted(ranks[:-1], np.arange(0, ranks[-1] + _STRATUM, _STRATUM), side="right") - 1
        return cls(octets.view("<u8"), ranks, np.append(hints, counts.size - 1).astype(np.int32))

    @classmethod
    def replacing(cls, rows: NDArray[np.int64]) -> "Bitmap":
        """Make the set of ascending rows if that is smaller than their list, which is long; else none."""
        if not rows.size or not cls.is_smaller(rows.size, int(rows[-1]) + 1) or np.any(rows[1:] == rows[:-1]):
            return cls.none()
        mask = np.zeros(int(rows[-1]) + 1, bool)
        mask[rows] = True
        return cls.from_mask(mask)

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows at ``positions`` of the ascending set; runs of ascending positions cost the least."""
        rows = np.empty(positions.size, np.int64)
        _rows_at(positions, rows, self)
        return rows

    def between(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        rows = np.empty(max(stop - start, 0), np.int64)
        fill_rows(rows, start, self)
        return rows

    def pieces(self) -> Iterator[NDArray[np.int64]]:
        """Yield all rows, a million at a time."""
        count = int(self.ranks[-1])
        return (self.between(start, min(start + _PIECE, count)) for start in range(0, count, _PIECE))

    def taken(self, values: Array) -> Array:
        """Return the entries of ``values`` at these rows."""
        return np.concatenate([values[rows] for rows in self.pieces()])


@compiled
def _count_ones(word: np.uint64) -> np.uint64:
    """Count the bits of a word that are set, which LLVM makes one instruction."""
    word -= (word >> _BY_1) & _PAIRS
    word = (word & _FOURS) + ((word >> _BY_2) & _FOURS)
    return (((word + (word >> _BY_4)) & _EIGHTS) * _SUM) >> _BY_56


@compiled
def _place_of_one(word: np.uint64, number: np.uint64) -> np.uint64:
    """Return which bit of a word is the ``number``-th that is set, from 0.

    Without branches, so that the words of the next positions are waited for at the same time.
    """
    place = np.uint64(0)
    for step in range(6):
        width = np.uint64(32 >> step)
        below = _count_ones(word & ((_ONE << width) - _ONE))
        is_above = np.uint64(number >= below)
        number -= below * is_above
        place += width * is_above
        word >>= width * is_above
    return place


@compiled
def _stratum_of(position: np.int64, ranks: NDArray[np.int64], hints: NDArray[np.int32]) -> np.int64:
    low, high = np.int64(hints[position // _STRATUM]), np.int64(hints[position // _STRATUM + 1])
    while low < high:
        middle = (low + high + 1) // 2
        if ranks[middle] <= position:
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def _row_at(left: np.int64, stratum: np.int64, words: NDArray[np.uint64]) -> np.int64:
    """Return the row that ``left`` others of its stratum come before."""
    number, total, below = np.uint64(left), np.uint64(0), np.uint64(0)
    first = place = stratum * _STRATUM_WORDS
    for k in range(_STRATUM_WORDS):  # all of them, without branches
        ones = _count_ones(words[first + k])
        total += ones
        is_passed = np.uint64(total <= number)
        below += ones * is_passed
        place += np.int64(is_passed)
    return place * _WORD + np.int64(_place_of_one(words[place], number - below))


@compiled
def _next_row(row: np.int64, words: NDArray[np.uint64]) -> np.int64:
    """Return the row that follows in the set, if one does."""
    row += 1
    place = row // _WORD
    word = words[place] >> (np.uint64(row) & _IN_WORD)
    while word == 0:
        place += 1
        row = place * _WORD
        word = words[place]
    return row + np.int64(_count_ones((word & (~word + _ONE)) - _ONE))


@compiled
def _rows_at(positions: NDArray[np.int64], rows: NDArray[np.int64], bits: Bitmap) -> np.uint64:
    """Write the rows at positions; the returned number has no meaning.

    The memory of many positions is touched before any of them is looked at, so as to wait for all of it at one time.
    """
    words, ranks, hints = bits.words, bits.ranks, bits.hints
    touched = np.uint64(0)
    before, row, known = np.int64(-2), np.int64(0), np.int64(-1)
    for start in range(0, positions.size, _TOGETHER):
        stop = min(start + _TOGETHER, positions.size)
        _write_strata(positions[start:stop], rows[start:stop], ranks, hints)
        for i in range(start, stop):
            first = rows[i] * _STRATUM_WORDS
            touched ^= words[first] ^ words[first + _STRATUM_WORDS - 1]
        for i in range(start, stop):
            position, stratum = positions[i], rows[i]
            if stratum == known and position == before + 1:  # no long gap to walk through
                row = _next_row(row, words)
            else:
                row = _row_at(position - ranks[stratum], stratum, words)
            rows[i] = row
            before, known = position, stratum
    return touched


@compiled
def _write_strata(
    positions: NDArray[np.int64], strata: NDArray[np.int64], ranks: NDArray[np.int64], hints: NDArray[np.int32]
) -> None:
    first = last = stratum = np.int64(0)
    for i in range(positions.size):
        if not first <= positions[i] < last:
            stratum = _stratum_of(positions[i], ranks, hints)
            first, last = ranks[stratum], ranks[stratum + 1]
        strata[i] = stratum


@compiled
def fill_rows(rows: NDArray[np.int64], start: int, bits: Bitmap) -> None:
    """Write the rows from position ``start`` on, as many as ``rows`` holds."""
    words, ranks = bits.words, bits.ranks
    row = last = np.int64(0)
    for i in range(rows.size):
        position = np.int64(start + i)
        if position < last:
            row = _next_row(row, words)
        else:
            stratum = _stratum_of(position, ranks, bits.hints)
            last = ranks[stratum + 1]
            row = _row_at(position - ranks[stratum], stratum, words)
        rows[i] = row
