"""Stable order of non-negative numbers, compiled: a radix sort of their bits as float32, put right where those tie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled

__all__ = ["N_COUNTS", "PLACE", "order_ascending", "order_descending"]

PLACE = np.uint64(0xFFFFFFFF)
"""The bits of an entry that are a place."""

N_COUNTS = 3 * 2048
"""Size of the memory for counts: one for each of three digits of 11 bits."""

_BITS = np.uint64(32)
_ONES = np.uint32(0xFFFFFFFF)
_DIGIT = np.uint64(2047)
_MOVES_AN_ENTRY = 8
"""Moves an entry after which insertion gives up: many numbers that differ by less than float32 tells."""


@compiled
def order_ascending(
    values: NDArray[Any], entries: NDArray[np.uint64], spare: NDArray[np.uint64], counts: NDArray[np.int32]
) -> NDArray[np.uint64]:
    """Return entries whose bits of `PLACE` are the places of ``values`` in ascending order, ties by place.

    Parameters
    ----------
    values
        Numbers of at least 0, shape ``(n,)``.
    entries, spare
        Memory for ``n`` entries each; the result lies in one of them.
    counts
        Memory for `N_COUNTS` counts.
    """
    return _ordered(values, entries, spare, counts, np.uint32(0))


@compiled
def order_descending(
    values: NDArray[Any], entries: NDArray[np.uint64], spare: NDArray[np.uint64], counts: NDArray[np.int32]
) -> NDArray[np.uint64]:
    """Return entries as `order_ascending` does, those of the largest values first, and ties by place all the same."""
    return _ordered(values, entries, spare, counts, _ONES)


@compiled
def _ordered(
    values: NDArray[Any],
    entries: NDArray[np.uint64],
    spare: NDArray[np.uint64],
    counts: NDArray[np.int32],
    flip: np.uint32,
) -> NDArray[np.uint64]:
    """Sort entries of 32 bits of key, the bits of a float32 (inverted by ``flip``), and 32 bits of place."""
    n = values.size
    single = np.empty(1, np.float32)
    bits = single.view(np.uint32)
    counts[:] = 0
    for place in range(n):
        single[0] = values[place]
        key = np.uint64(bits[0] ^ flip)
        entries[place] = (key << _BITS) | np.uint64(place)
        counts[key & _DIGIT] += 1
        counts[2048 + ((key >> np.uint64(11)) & _DIGIT)] += 1
        counts[4096 + (key >> np.uint64(22))] += 1
    for digit in range(3):
        shift = np.uint64(32 + 11 * digit)
        of_digit = counts[2048 * digit : 2048 * (digit + 1)]
        if n and of_digit[(entries[0] >> shift) & _DIGIT] == n:  # all have the same
            continue
        begun = 0
        for value in range(2048):
            count = of_digit[value]
            of_digit[value] = begun
            begun += count
        for k in range(n):
            entry = entries[k]
            value_of_digit = (entry >> shift) & _DIGIT
            spare[of_digit[value_of_digit]] = entry
            of_digit[value_of_digit] += 1
        entries, spare = spare, entries
    if not _settle_ties(values, entries[:n], flip):
        _sort_by_comparison(values, entries[:n], flip)
    return entries


@compiled
def _settle_ties(values: NDArray[Any], entries: NDArray[np.uint64], flip: np.uint32) -> bool:
    """Sort entries that have the same key by their exact values, by insertion; give up after many moves."""
    n_moves = 0
    for k in range(1, entries.size):
        entry = entries[k]
        value = values[entry & PLACE]
        place = k
        while place > 0 and entries[place - 1] >> _BITS == entry >> _BITS:
            before = values[entries[place - 1] & PLACE]
            if before >= value if flip else before <= value:
                break
            entries[place] = entries[place - 1]
            place -= 1
        entries[place] = entry
        n_moves += k - place
        if n_moves > _MOVES_AN_ENTRY * entries.size:
            return False
    return True


@compiled
def _sort_by_comparison(values: NDArray[Any], entries: NDArray[np.uint64], flip: np.uint32) -> None:
    order = np.argsort(-values if flip else values, kind="mergesort")
    for k in range(entries.size):
        entries[k] = np.uint64(order[k])
