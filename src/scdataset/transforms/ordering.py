"""Stable order of non-negative numbers, compiled: buckets by the first bits of a float, then insertion.

The bits of floats that are not negative ascend as the floats do, and nearly as their logarithms. So values that differ
by orders of magnitude spread evenly over buckets of equal width, about one in each, and one pass of insertion ends the
sort.
"""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array

__all__ = ["ASCENDING", "DESCENDING", "N_BUCKETS", "PLACE", "ordered", "sort_by_comparison"]

ASCENDING, DESCENDING = np.uint32(0), np.uint32(0xFFFFFFFF)
"""Masks that invert the bits of a float, so that keys ascend."""

PLACE = np.uint64(0xFFFFFFFF)
"""The bits of an entry that are a place."""

N_BUCKETS = 4096
"""Buckets, whose counts fit the first-level cache beside the entries of a cell."""

_BITS = np.uint64(32)
_MOVES_AN_ENTRY = 8
"""Moves an entry after which insertion gives up: an outlier among many numbers of one bucket."""


@compiled
def ordered(
    values: Array,
    entries: NDArray[np.uint64],
    spare: NDArray[np.uint64],
    counts: NDArray[np.int32],
    flip: np.uint32,
) -> NDArray[np.uint64]:
    """Return entries whose bits of `PLACE` are the places of ``values`` in order, ties by place.

    Entries are 32 bits of key, the first of a float (inverted by ``flip``), and 32 bits of place.

    Parameters
    ----------
    values
        Floats of 4 or 8 bytes, at least 0, shape ``(n,)``, contiguous.
    entries, spare
        Memory for ``n`` entries each; the result lies in one of them.
    counts
        Memory for `N_BUCKETS` counts.
    flip
        `ASCENDING`, or `DESCENDING` for the largest values first.
    """
    n, words = values.size, values.itemsize // 4
    bits = values.view(np.uint32)[words - 1 :: words]  # of a little-endian machine
    lowest, highest = PLACE, np.uint64(0)
    for place in range(n):
        key = np.uint64(bits[place] ^ flip)
        entries[place] = (key << _BITS) | np.uint64(place)
        lowest, highest = min(lowest, key), max(highest, key)
    scale = (np.uint64(N_BUCKETS) << _BITS) // (highest - lowest + np.uint64(1)) if n else np.uint64(0)
    counts[:] = 0
    for k in range(n):
        counts[(((entries[k] >> _BITS) - lowest) * scale) >> _BITS] += 1
    begun = 0
    for bucket in range(N_BUCKETS):
        count = counts[bucket]
        counts[bucket] = begun
        begun += count
    for k in range(n):
        bucket = (((entries[k] >> _BITS) - lowest) * scale) >> _BITS
        spare[counts[bucket]] = entries[k]
        counts[bucket] += 1
    if _insert(values, spare[:n], flip):
        return spare
    return sort_by_comparison(values, entries[:n], spare[:n], flip)


@compiled
def _insert(values: Array, entries: NDArray[np.uint64], flip: np.uint32) -> bool:
    """Sort entries that are nearly in order, equal keys by their exact values; give up after many moves."""
    n_moves = 0
    for k in range(1, entries.size):
        entry = entries[k]
        place = k
        while place > 0:
            before = entries[place - 1]
            if before >> _BITS < entry >> _BITS:
                break
            if before >> _BITS == entry >> _BITS:  # of equal values the one before has the lower place
                one, other = values[before & PLACE], values[entry & PLACE]
                if one >= other if flip else one <= other:
                    break
            entries[place] = before
            place -= 1
        entries[place] = entry
        n_moves += k - place
        if n_moves > _MOVES_AN_ENTRY * entries.size:
            return False
    return True


@compiled
def sort_by_comparison(
    values: Array, entries: NDArray[np.uint64], spare: NDArray[np.uint64], flip: np.uint32
) -> NDArray[np.uint64]:
    """Return places in the order of any ``values``, as `ordered` does, in one of two arrays of that size: a merge sort.

    The stable argsort of numpy takes seconds to compile for each type.
    """
    n, width = values.size, 16
    for k in range(n):  # runs of the first width by insertion
        place = k
        while place % width:
            one, other = values[entries[place - 1]], values[k]
            if one >= other if flip else one <= other:
                break
            entries[place] = entries[place - 1]
            place -= 1
        entries[place] = np.uint64(k)
    while width < n:
        for start in range(0, n, 2 * width):
            _merge(values, entries, spare, start, min(start + width, n), min(start + 2 * width, n), flip)
        entries, spare = spare, entries
        width *= 2
    return entries


@compiled
def _merge(
    values: Array,
    entries: NDArray[np.uint64],
    out: NDArray[np.uint64],
    start: int,
    middle: int,
    stop: int,
    flip: np.uint32,
) -> None:
    """Merge ordered places [start, middle) and [middle, stop); of equal values the first go first."""
    left, right, k = start, middle, start
    while left < middle and right < stop:
        one, other = values[entries[left]], values[entries[right]]
        takes_right = one < other if flip else other < one
        out[k] = entries[right] if takes_right else entries[left]  # no branch: it could go either way
        right += takes_right
        left += not takes_right
        k += 1
    for rest in range(left, middle):
        out[k + rest - left] = entries[rest]
    for rest in range(right, stop):
        out[rest] = entries[rest]
