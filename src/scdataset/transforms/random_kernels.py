"""Compiled loops over CSR rows that draw from the key of each row.

A value's draw is the step of its row's stream that has the number of its column, so that it does not depend on what
else is stored.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.strategy.keys import mix, unit_float
from scdataset.transforms.ordering import N_COUNTS, PLACE, order_ascending

__all__ = ["bin_rows", "choose_exactly", "choose_independently"]


@compiled
def choose_independently(
    indices: NDArray[Any], indptr: NDArray[Any], keys: NDArray[np.uint64], ratio: float
) -> NDArray[np.bool_]:
    """Choose each stored value with probability ``ratio``."""
    chosen = np.zeros(indptr[-1], np.bool_)
    for row in range(keys.size):
        for k in range(indptr[row], indptr[row + 1]):
            chosen[k] = unit_float(mix(keys[row], np.uint64(indices[k]))) < ratio
    return chosen


@compiled
def choose_exactly(
    indices: NDArray[Any], indptr: NDArray[Any], keys: NDArray[np.uint64], ratio: float
) -> NDArray[np.bool_]:
    """Choose ``int(n * ratio)`` of the ``n`` values of each row (selection sampling: Fan, Muller and Rezucha 1962)."""
    chosen = np.zeros(indptr[-1], np.bool_)
    for row in range(keys.size):
        n_left = indptr[row + 1] - indptr[row]
        n_wanted = int(n_left * ratio)
        for k in range(indptr[row], indptr[row + 1]):
            if unit_float(mix(keys[row], np.uint64(indices[k]))) * n_left < n_wanted:
                chosen[k] = True
                n_wanted -= 1
            n_left -= 1
    return chosen


@compiled
def bin_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    keys: NDArray[np.uint64],
    grades: NDArray[np.float64],
    is_random: bool,  # noqa: FBT001 compiled functions take positions
) -> NDArray[np.int32]:
    """Return the bin of every value among those of its row, from 1 to the number of ``grades``.

    Edges are the quantiles at ``grades``. With ``is_random`` they are those of numpy, and a value that equals several
    edges gets one of their bins by chance; else they are those of torch, and it gets the first.
    """
    bins = np.empty(indptr[-1], np.int32)
    longest = np.diff(indptr).max() if keys.size else 0
    entries, spare = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    counts = np.empty(N_COUNTS, np.int32)
    ascending = np.empty(longest, data.dtype)
    edges = np.empty(grades.size)
    for row in range(keys.size):
        start, n = indptr[row], indptr[row + 1] - indptr[row]
        if not n:
            continue
        ordered = order_ascending(data[start : start + n], entries, spare, counts)
        for k in range(n):
            ascending[k] = data[start + np.int64(ordered[k] & PLACE)]
        if is_random:
            _quantiles_of_numpy(ascending[:n], grades, edges)
        else:
            _quantiles_of_torch(ascending[:n], grades, edges)
        n_below = n_up_to = 0
        for k in range(n):
            while n_below < edges.size and edges[n_below] < ascending[k]:
                n_below += 1
            while n_up_to < edges.size and edges[n_up_to] <= ascending[k]:
                n_up_to += 1
            place = start + np.int64(ordered[k] & PLACE)
            if is_random:
                u = unit_float(mix(keys[row], np.uint64(indices[place])))
                bins[place] = math.ceil(u * (n_below - n_up_to) + n_up_to)
            else:
                bins[place] = n_below + 1
    return bins


@compiled
def _quantiles_of_numpy(ascending: NDArray[Any], grades: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
    """Fill ``edges`` with quantiles, rounded as ``np.quantile`` does: differences in the type of the values."""
    last = ascending.size - 1
    for g in range(grades.size):
        place = grades[g] * last
        below = math.floor(place)
        share = place - below
        low, high = ascending[below], ascending[min(below + 1, last)]
        step = high - low
        edges[g] = low + step * share if share < 0.5 else high - step * (1.0 - share)


@compiled
def _quantiles_of_torch(ascending: NDArray[Any], grades: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
    """Fill ``edges`` with quantiles, rounded as ``torch.quantile`` of float32 does."""
    last = ascending.size - 1
    one = np.float32(1)
    for g in range(grades.size):
        place = np.float32(np.float32(grades[g]) * np.float32(last))
        below = math.floor(place)
        share = np.float32(place - np.float32(below))
        low, high = np.float32(ascending[below]), np.float32(ascending[min(math.ceil(place), last)])
        step = np.float32(high - low)
        if share < np.float32(0.5):
            edges[g] = np.float32(low + np.float32(step * share))
        else:
            edges[g] = np.float32(high - np.float32(step * np.float32(one - share)))
