"""Sets of cells of one group: which cells are in set k of an epoch, without writing the epoch out.

The cells of a group are permuted and cut into sets; that is a round. A group that yields more sets than a round has
goes on with another round, in another order::

    group of 10 cells, set_size=4            a round                    the next one
    remainder="drop"                |5 0 8 2|9 3 7 1| 6 4      |1 4 0 3|6 7 5 9| 8 2
    remainder="pad"                 |5 0 8 2|9 3 7 1|6 4 5 0|  |1 4 0 3|6 7 5 9|8 2 1 4|
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.strategy.blocks import fill_positions
from scdataset.strategy.keys import mix, unit_float
from scdataset.strategy.permutation import fill_shuffled

__all__ = ["Members", "Sets", "cells_of_set", "count_codes", "drawn", "members_by_code", "split_key"]

_TABLE_BELOW = 256
"""Fewer blocks than this are shuffled outright: exact, and as fast as a Feistel network for a set or two."""


class Members(NamedTuple):
    """Positions of selected rows, those of one code after those of another.

    Attributes
    ----------
    positions
        Ascending within a code; int32 where that is enough: 4 bytes a row.
    first
        ``positions[first[c]:first[c + 1]]`` have code c, shape ``(n_codes + 1,)``.
    """

    positions: Array
    first: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each code, shape ``(n_codes,)``."""
        return np.diff(self.first)


def members_by_code(codes: Array, keep: NDArray[np.bool_], n_codes: int) -> Members:
    """Sort the positions that are kept by their code, stably and in linear time.

    Parameters
    ----------
    codes
        In [0, n_codes), shape ``(n,)``.
    keep
        Which positions take part, shape ``(n,)``.
    """
    first = np.concatenate([[0], np.cumsum(count_codes(codes, keep, n_codes))])
    dtype = np.int32 if codes.size <= np.iinfo(np.int32).max else np.int64
    positions = np.empty(int(first[-1]), dtype)
    _place(codes, keep, first[:-1].copy(), positions)
    return Members(positions, first)


@compiled
def count_codes(codes: Array, keep: NDArray[np.bool_], n_codes: int) -> NDArray[np.int64]:
    """Count the positions of each code that are kept, shape ``(n_codes,)``."""
    counts = np.zeros(n_codes, np.int64)
    for i in range(codes.size):
        if keep[i]:
            counts[np.int64(codes[i])] += 1
    return counts


@compiled
def _place(codes: Array, keep: NDArray[np.bool_], following: NDArray[np.int64], positions: Array) -> None:
    for i in range(codes.size):
        if keep[i]:
            code = np.int64(codes[i])
            positions[following[code]] = i
            following[code] += 1


class Sets(NamedTuple):
    """All sets of an epoch, numbered group by group.

    Attributes
    ----------
    members
        The cells of each group.
    first_set
        Number of the first set of each group, shape ``(n_groups + 1,)``.
    in_round
        Sets that a round of each group has, shape ``(n_groups,)``.
    set_size
        Cells in a set.
    block_size
        Cells of a group, neighbours in the file, that stay together.
    """

    members: Members
    first_set: NDArray[np.int64]
    in_round: NDArray[np.int64]
    set_size: int
    block_size: int

    @property
    def total(self) -> int:
        """Number of sets in an epoch."""
        return int(self.first_set[-1])


@compiled
def cells_of_set(number: int, sets: Sets, key: np.uint64) -> NDArray[np.int64]:
    """Return the positions of the cells of one set, shape ``(set_size,)``, in the epoch of ``key``."""
    group = int(np.searchsorted(sets.first_set, number, side="right")) - 1
    turn, place = divmod(number - sets.first_set[group], sets.in_round[group])
    first, last = sets.members.first[group], sets.members.first[group + 1]
    cells = drawn(place * sets.set_size, sets.set_size, last - first, sets.block_size, split_key(key, group, turn))
    for i in range(cells.size):
        cells[i] = sets.members.positions[first + cells[i]]
    return cells


@compiled
def split_key(key: np.uint64, one: int, other: int) -> np.uint64:
    """Return a key of its own for each pair of numbers."""
    return mix(mix(key, np.uint64(one)), np.uint64(other))


@compiled
def drawn(start: int, count: int, n: int, block_size: int, key: np.uint64) -> NDArray[np.int64]:
    """Return places [start, start + count) of a permutation of [0, n) by blocks, wrapping around at its end.

    Blocks begin at a random number, and wrap around, so that their bounds are others under every key.
    """
    n_full, n_short = divmod(n, block_size)
    short_place = int(unit_float(mix(key, np.uint64(0))) * (n_full + 1))
    offset = int(unit_float(mix(key, np.uint64(1))) * n)
    block_key = mix(key, np.uint64(2))
    table = np.empty(n_full if n_full < _TABLE_BELOW else 0, np.int64)
    fill_shuffled(table, block_key)
    out = np.empty(count, np.int64)
    done = 0
    while done < count:
        place = (start + done) % n
        run = min(n - place, count - done)
        fill_positions(
            out[done : done + run], place, n_full, block_size, n_short, short_place, n_full, block_key, table
        )
        done += run
    return (out + offset) % n
