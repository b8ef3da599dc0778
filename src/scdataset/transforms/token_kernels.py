"""Compiled loops from CSR rows, in the order of columns, to padded tokens."""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.strategy.keys import mix, unit_float
from scdataset.transforms.ordering import DESCENDING, N_BUCKETS, PLACE, ordered

__all__ = ["fill_ranked", "fill_sampled", "fill_top"]


@compiled
def fill_ranked(
    data: Array,
    indices: Array,
    indptr: Array,
    totals: NDArray[np.float64],
    tokens: NDArray[np.int64],
    medians: NDArray[np.float64],
    longest: int,
    first: int,
    last: int,
    out: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Write the tokens of every row into ``out``, those of the largest value first; return how many there are.

    Parameters
    ----------
    tokens, medians
        Of each column, all different; -1 for a column without a token.
    longest
        Values of the longest row.
    first, last
        Columns [first, last) of ``out`` are filled from the left, with as many tokens of each row.
    """
    lengths = np.empty(totals.size, np.int64)
    entries, spare = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    counts = np.empty(N_BUCKETS, np.int32)
    found, values, divisors = np.empty(longest, np.int64), np.empty(longest), np.empty(longest)
    for row in range(totals.size):
        n = 0
        for k in range(indptr[row], indptr[row + 1]):
            column = np.uint64(indices[k])  # without a sign there is no check for places from the end
            found[n], divisors[n], values[n] = tokens[column], medians[column], data[k]
            n += found[n] >= 0
        for k in range(n):  # np.divide does not check for zeros, and so takes several at once
            values[k] = np.divide(np.divide(values[k], totals[row]) * 1e4, divisors[k])
        order = ordered(values[:n], entries, spare, counts, DESCENDING)
        lengths[row] = min(n, last - first)
        for k in range(lengths[row]):
            out[row, first + k] = found[order[k] & PLACE]
    return lengths


@compiled
def fill_sampled(
    data: Array,
    indices: Array,
    indptr: Array,
    keys: NDArray[np.uint64],
    ids: NDArray[np.int64],
    n_known: int,
    with_zeros: bool,  # noqa: FBT001 compiled functions take positions
    longest: int,  # noqa: ARG001 as of `fill_top`
    first: int,
    out: NDArray[np.int64],
    values: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Write genes and values of every row into ``out`` and ``values``, a random sample where there are too many.

    Parameters
    ----------
    ids
        Those of each column, -1 for a column that is left out.
    n_known
        Columns that are not left out.
    with_zeros
        Take genes without a value too.
    first
        The column of ``out`` and ``values`` from which on they are filled.
    """
    lengths = np.empty(keys.size, np.int64)
    for row in range(keys.size):
        start, stop = indptr[row], indptr[row + 1]
        n_left = n_known
        if not with_zeros:
            n_left = 0
            for k in range(start, stop):
                if ids[indices[k]] >= 0:
                    n_left += 1
        n_wanted = min(n_left, out.shape[1] - first)
        lengths[row] = n_wanted
        n, k, column = 0, start, 0
        while n < n_wanted:
            if not with_zeros:
                column = indices[k]
            is_stored = k < stop and indices[k] == column
            if ids[column] >= 0:
                if _is_drawn(keys[row], column, n_left, n_wanted - n):
                    out[row, first + n], values[row, first + n] = ids[column], data[k] if is_stored else 0
                    n += 1
                n_left -= 1
            k += is_stored
            column += 1
    return lengths


@compiled
def fill_top(
    data: Array,
    indices: Array,
    indptr: Array,
    keys: NDArray[np.uint64],
    ids: NDArray[np.int64],
    n_known: int,
    with_zeros: bool,  # noqa: FBT001 compiled functions take positions
    longest: int,
    first: int,
    out: NDArray[np.int64],
    values: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Write genes and values as `fill_sampled` does, those of the largest values, which come first.

    With ``with_zeros`` the places left are filled with a random sample of the genes without a value.
    """
    lengths = np.empty(keys.size, np.int64)
    entries, spare = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    counts = np.empty(N_BUCKETS, np.int32)
    found, there = np.empty(longest), np.empty(longest, np.int64)
    for row in range(keys.size):
        n_found = 0
        for k in range(indptr[row], indptr[row + 1]):
            if ids[indices[k]] >= 0:
                found[n_found], there[n_found] = data[k], indices[k]
                n_found += 1
        order = ordered(found[:n_found], entries, spare, counts, DESCENDING)
        room = out.shape[1] - first
        n = min(n_found, room)
        for k in range(n):
            place = np.int64(order[k] & PLACE)
            out[row, first + k], values[row, first + k] = ids[there[place]], found[place]
        n_left = n_known - n_found
        n_wanted = n + min(n_left, room - n) if with_zeros else n
        lengths[row] = n_wanted
        k = column = 0
        while n < n_wanted:
            if k < n_found and there[k] == column:
                k += 1
            elif ids[column] >= 0:
                if _is_drawn(keys[row], column, n_left, n_wanted - n):
                    out[row, first + n], values[row, first + n] = ids[column], 0
                    n += 1
                n_left -= 1
            column += 1
    return lengths


@compiled
def _is_drawn(key: np.uint64, column: int, n_left: int, n_wanted: int) -> bool:
    """Draw whether this column is among ``n_wanted`` of the ``n_left`` that it is the first of."""
    return unit_float(mix(key, np.uint64(column))) * n_left < n_wanted
