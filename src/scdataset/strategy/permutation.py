"""Permutations that need no memory: position in, value out.

`KeyedPermutation` is a bijection of [0, n) chosen by a key. Large domains go through a Feistel network (Luby and
Rackoff 1988) over the smallest power of two that holds n, walking on while the value falls outside [0, n) (cycle
walking, Black and Rogaway 2002). Small domains are shuffled outright, which is exact and costs no more.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.strategy.keys import mix, unit_float

__all__ = ["KeyedPermutation", "fill_shuffled", "permute_one", "shuffled"]

SMALL_DOMAIN = 4096
"""Domains of up to this many values are kept as a table (32 KB at most)."""

_ROUNDS = 6


def shuffled(n: int, key: np.uint64) -> NDArray[np.int64]:
    """Return a uniformly random permutation of [0, n), shape ``(n,)``, chosen by ``key``."""
    order = np.empty(n, np.int64)
    fill_shuffled(order, key)
    return order


@compiled
def fill_shuffled(order: NDArray[np.int64], key: np.uint64) -> None:
    """Write a uniformly random permutation of [0, n) to an array of n, chosen by ``key`` (Fisher and Yates)."""
    for i in range(order.size):  # np.arange takes half a second to compile
        order[i] = i
    for last in range(order.size - 1, 0, -1):
        other = np.int64(unit_float(mix(key, np.uint64(last))) * (last + 1))
        order[last], order[other] = order[other], order[last]


@dataclass(frozen=True, slots=True)
class KeyedPermutation:
    """A bijection of [0, n) chosen by a key, in O(1) time and memory.

    Attributes
    ----------
    n
        Size of the domain, at least 1.
    key
        64 bits from `make_key`; keys have to be hashes, since keys that differ in a few bits give related permutations.
    table
        The permutation itself where n is small, else empty.
    """

    n: int
    key: np.uint64
    table: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = shuffled(self.n, self.key) if self.n <= SMALL_DOMAIN else np.empty(0, np.int64)
        object.__setattr__(self, "table", table)

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the values at ``positions``, any int64 numbers in [0, n)."""
        return _permute_many(positions, self.n, self.key, self.table)


@compiled
def permute_one(position: int, n: int, key: np.uint64, table: NDArray[np.int64]) -> int:
    """Return the value at one position of the permutation of [0, n) (``table`` is empty where n is large)."""
    if table.size:
        return np.int64(table[position])  # type: ignore[return-value]  # int() would be compiled for each type
    bits = 1
    while (n - 1) >> bits:
        bits += 1
    low_bits = np.uint64(bits - bits // 2)
    low_mask = (np.uint64(1) << low_bits) - np.uint64(1)
    high_mask = (np.uint64(1) << np.uint64(bits // 2)) - np.uint64(1)
    value = np.uint64(position)
    while True:
        low = value & low_mask
        high = value >> low_bits
        for pair in range(_ROUNDS // 2):
            high ^= mix(key ^ low, np.uint64(2 * pair)) & high_mask
            low ^= mix(key ^ high, np.uint64(2 * pair + 1)) & low_mask
        value = (high << low_bits) | low
        if value < np.uint64(n):
            return np.int64(value)  # type: ignore[return-value]


@compiled
def _permute_many(positions: NDArray[np.int64], n: int, key: np.uint64, table: NDArray[np.int64]) -> NDArray[np.int64]:
    out = np.empty(positions.size, np.int64)
    for i in range(positions.size):
        out[i] = permute_one(positions[i], n, key, table)
    return out
