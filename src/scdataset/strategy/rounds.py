"""Weighted draws without replacement, in rounds."""

import math

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.strategy.blocks import ShuffledBlocks
from scdataset.strategy.keys import make_key, mix, unit_float
from scdataset.strategy.permutation import KeyedPermutation
from scdataset.strategy.selection import Rows
from scdataset.strategy.weights import Weights, weight_at

__all__ = ["RoundsOrder"]

_ROUNDS_KEPT = 2


class RoundsOrder:
    """Rounds of distinct rows, one after the other, the blocks of each in random order.

    A round holds O(sampling_size) in memory while it is in use; the weights are read once a round.
    """

    def __init__(
        self,
        selected: Rows,
        weights: Weights,
        n_samples: int,
        sampling_size: int,
        block_size: int,
        seed: int,
        epoch: int,
        *,
        shuffles: bool = True,
    ) -> None:
        self.shuffles = shuffles
        self._selected = selected
        self._weights = weights
        self._n_samples = n_samples
        self._sampling_size = sampling_size
        self._block_size = block_size
        self._seed = seed
        self._epoch = epoch
        self._kept: dict[int, tuple[NDArray[np.int64], ShuffledBlocks]] = {}

    def __len__(self) -> int:
        return self._n_samples

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        parts = [np.empty(0, np.int64)]
        while start < stop:
            number, offset = divmod(start, self._sampling_size)
            sample, blocks = self._round(number)
            end = min(offset + stop - start, sample.size)
            parts.append(sample[blocks.positions(offset, end)])
            start += end - offset
        return self._selected.at(np.concatenate(parts))

    def _round(self, number: int) -> tuple[NDArray[np.int64], ShuffledBlocks]:
        if number not in self._kept:
            size = min(self._sampling_size, self._n_samples - number * self._sampling_size)
            key = make_key(self._seed, self._epoch, "arrivals", number)
            blocks = ShuffledBlocks.of(size, self._block_size, self._seed, self._epoch, number)
            self._kept[number] = (distinct(size, self._selected.count, self._weights, key), blocks)
            while len(self._kept) > _ROUNDS_KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[number]


def distinct(size: int, n: int, weights: Weights, key: np.uint64) -> NDArray[np.int64]:
    """Draw ``size`` distinct positions of [0, n), each draw in proportion to the weights that are left; ascending.

    Positions arrive at exponential times whose rates are their weights, and the first ``size`` of them are taken
    (Efraimidis and Spirakis 2006).
    """
    if weights.uniform:
        return np.sort(KeyedPermutation(n, key)(np.arange(size)))
    return np.sort(_first_arrivals(size, n, weights, key))


@compiled
def _first_arrivals(size: int, n: int, weights: Weights, key: np.uint64) -> NDArray[np.int64]:
    capacity = 2 * size + 1024
    times = np.empty(capacity)  # logarithms: neither tiny nor huge weights leave the range of floats
    positions = np.empty(capacity, np.int64)
    held = 0
    latest = np.inf
    for position in range(n):
        weight = weight_at(position, weights)
        if weight <= 0.0:
            continue
        waited = -math.log1p(-unit_float(mix(key, np.uint64(position))))
        time = (math.log(waited) if waited > 0.0 else -np.inf) - math.log(weight)
        if time >= latest:
            continue
        times[held] = time
        positions[held] = position
        held += 1
        if held == capacity:
            held = _keep_first(size, held, times, positions)
            latest = times[:size].max()
    return positions[: _keep_first(size, held, times, positions)].copy()


@compiled
def _keep_first(size: int, held: int, times: NDArray[np.float64], positions: NDArray[np.int64]) -> int:
    """Move the ``size`` earliest of ``held`` arrivals to the front and return how many there are."""
    order = np.argsort(times[:held])[:size]
    times[: order.size] = times[order]
    positions[: order.size] = positions[order]
    return order.size
