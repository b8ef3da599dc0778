"""Compiled loops that bin the values of CSR rows by the quantiles of their row.

Counts, normalised and logged or not, have few distinct values in a cell. These are found by hashing, and all but the
choice by chance is done once for each of them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.strategy.keys import mix, unit_float
from scdataset.transforms.ordering import ASCENDING, N_BUCKETS, PLACE, ordered, sort_by_comparison

__all__ = ["bin_rows"]

_TABLE_BITS = 10
_MOST = 1 << (_TABLE_BITS - 1)
"""Distinct values that the table takes; rows with more are sorted."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_TO_TABLE = np.uint64(64 - _TABLE_BITS)
_IN_TABLE = np.uint64((1 << _TABLE_BITS) - 1)
_ONE = np.uint64(1)
"""Places without a sign need no check for those from the end."""


@compiled
def bin_rows(
    data: Array,
    bits: Array,
    indices: Array,
    indptr: Array,
    keys: NDArray[np.uint64],
    grades: NDArray[np.float64],
    is_random: bool,  # noqa: FBT001 compiled functions take positions
    longest: int,
) -> NDArray[np.int32]:
    """Return the bin of every value among those of its row, from 1 to the number of ``grades``.

    Edges are the quantiles at ``grades``. With ``is_random`` they are those of numpy, and a value that equals several
    edges gets one of their bins by chance; else they are those of torch, and it gets the first.

    Parameters
    ----------
    bits
        ``data`` as unsigned integers of the same size.
    longest
        Values of the longest row.
    """
    bins = np.empty(indptr[-1], np.int32)
    table, of_value = np.zeros(1 << _TABLE_BITS, np.int32), np.empty(longest, np.int32)
    distinct, ends = np.empty(longest, data.dtype), np.empty(longest, np.int64)
    memory = np.empty(longest, np.uint64), np.empty(longest, np.uint64), np.empty(N_BUCKETS, np.int32)
    edges = np.empty(grades.size)
    first, last = np.empty(longest, np.int32), np.empty(longest, np.int32)
    for row in range(keys.size):
        start, n = indptr[row], indptr[row + 1] - indptr[row]
        if not n:
            continue
        values = data[start : start + n]
        size = _hashed(values, bits[start : start + n], of_value, distinct, ends, table)
        if size:
            _put_in_order(of_value[:n], distinct[:size], ends[:size], memory)
        else:
            size = _sorted(values, of_value, distinct, ends, memory)
        if is_random:
            _quantiles_of_numpy(distinct[:size], ends[:size], grades, edges)
        else:
            _quantiles_of_torch(distinct[:size], ends[:size], grades, edges)
        _bins_of_distinct(distinct[:size], edges, first, last)
        own = bins[start : start + n]
        if is_random:
            for k in range(n):
                low, high = first[np.uint32(of_value[k])], last[np.uint32(of_value[k])]
                u = unit_float(mix(keys[row], np.uint64(indices[start + k])))
                own[k] = np.ceil(u * (low - high) + high)
        else:
            for k in range(n):
                own[k] = first[np.uint32(of_value[k])] + 1
    return bins


@compiled
def _hashed(
    values: Array,
    bits: Array,
    of_value: NDArray[np.int32],
    distinct: Array,
    numbers: NDArray[np.int64],
    table: NDArray[np.int32],
) -> int:
    """Find the distinct values, how often each is there, and which of them each value is; return 0 if they are many.

    ``table`` holds zeros, and does again afterwards.
    """
    size = 0
    for k in range(values.size):
        place = (np.uint64(bits[k]) * _GOLDEN) >> _TO_TABLE
        number = np.uint64(table[place])
        while number and distinct[number - _ONE] != values[k]:
            place = (place + _ONE) & _IN_TABLE
            number = np.uint64(table[place])
        if not number:
            if size == _MOST:
                table[:] = 0
                return 0
            distinct[size], numbers[size] = values[k], 0
            size += 1
            table[place] = size
            number = np.uint64(size)
        of_value[k] = number - _ONE
        numbers[number - _ONE] += 1
    table[:] = 0
    return size


@compiled
def _put_in_order(
    of_value: NDArray[np.int32],
    distinct: Array,
    ends: NDArray[np.int64],
    memory: tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int32]],
) -> None:
    """Put distinct values in ascending order, and make ends of how often each is there."""
    n, end = distinct.size, 0
    order = sort_by_comparison(distinct, memory[0][:n], memory[1][:n], ASCENDING)
    rank, unordered, counted = np.empty(n, np.int32), distinct.copy(), ends.copy()
    for place in range(n):
        rank[order[place]] = place
        end += counted[order[place]]
        distinct[place], ends[place] = unordered[order[place]], end
    for k in range(of_value.size):
        of_value[k] = rank[of_value[k]]


@compiled
def _sorted(
    values: Array,
    of_value: NDArray[np.int32],
    distinct: Array,
    ends: NDArray[np.int64],
    memory: tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int32]],
) -> int:
    """Find the distinct values in ascending order, where each ends in that order, and which of them each value is."""
    order = ordered(values, memory[0], memory[1], memory[2], ASCENDING)
    size = 0
    for k in range(values.size):
        place = np.int64(order[k] & PLACE)
        if not size or distinct[size - 1] != values[place]:
            distinct[size] = values[place]
            size += 1
        ends[size - 1] = k + 1
        of_value[place] = size - 1
    return size


@compiled
def _bins_of_distinct(
    distinct: Array, edges: NDArray[np.float64], first: NDArray[np.int32], last: NDArray[np.int32]
) -> None:
    """Count the edges below each of the ascending values, and those up to it."""
    n_below = n_up_to = 0
    for place in range(distinct.size):
        while n_below < edges.size and edges[n_below] < distinct[place]:
            n_below += 1
        while n_up_to < edges.size and edges[n_up_to] <= distinct[place]:
            n_up_to += 1
        first[place], last[place] = n_below, n_up_to


@compiled
def _quantiles_of_numpy(
    distinct: Array, ends: NDArray[np.int64], grades: NDArray[np.float64], edges: NDArray[np.float64]
) -> None:
    """Fill ``edges`` with quantiles, rounded as ``np.quantile`` does: differences in the type of the values.

    Parameters
    ----------
    distinct
        Ascending values.
    ends
        Where each ends among all values.
    """
    last, k = ends[-1] - 1, 0
    for g in range(grades.size):
        place = grades[g] * last
        below = math.floor(place)
        share = place - below
        while ends[k] <= below:
            k += 1
        low, high = distinct[k], distinct[k + 1 if ends[k] <= min(below + 1, last) else k]
        step = high - low
        edges[g] = low + step * share if share < 0.5 else high - step * (1.0 - share)


@compiled
def _quantiles_of_torch(
    distinct: Array, ends: NDArray[np.int64], grades: NDArray[np.float64], edges: NDArray[np.float64]
) -> None:
    """Fill ``edges`` with quantiles, rounded as ``torch.quantile`` of float32 does."""
    last, k = ends[-1] - 1, 0
    one = np.float32(1)
    for g in range(grades.size):
        place = np.float32(np.float32(grades[g]) * np.float32(last))
        below = math.floor(place)
        share = np.float32(place - np.float32(below))
        while ends[k] <= below:
            k += 1
        after = k + 1 if ends[k] <= min(math.ceil(place), last) else k
        low, high = np.float32(distinct[k]), np.float32(distinct[after])
        step = np.float32(high - low)
        if share < np.float32(0.5):
            edges[g] = np.float32(low + np.float32(step * share))
        else:
            edges[g] = np.float32(high - np.float32(step * np.float32(one - share)))
