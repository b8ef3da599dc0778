"""Weighted draws without replacement, in rounds."""

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.strategy.blocks import ShuffledBlocks
from scdataset.strategy.keys import make_key, mix, unit_float
from scdataset.strategy.permutation import KeyedPermutation
from scdataset.strategy.selection import Rows
from scdataset.strategy.weights import STRATUM, Weights, fill_weights, in_parts

__all__ = ["RoundsOrder"]

_ROUNDS_KEPT = 2

_STRIDES = (256, 16)
"""Of how many strata one is looked at for a bound on times."""

_MARGIN = 6.0
"""Standard deviations of a count by which a bound from some strata is raised."""

_ROUNDING = 1.0 + 1e-9
"""More than the rounding of a time and of a bound together."""

_SHIFT = 50
_N_TIMES = 1 << (64 - _SHIFT)
_INFINITE = 0x7FF << (52 - _SHIFT)
"""Times are counted by the exponent of their float and the first two bits after it: a quarter more at most."""


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
            blocks = ShuffledBlocks.from_seed(size, self._block_size, self._seed, self._epoch, number)
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
    return _first_arrivals(size, n, weights, key)


def _first_arrivals(size: int, n: int, weights: Weights, key: np.uint64) -> NDArray[np.int64]:
    """Return the ``size`` positions that arrive first.

    A bound on the time of the last of them is found in some strata, by times that are rounded up. Logarithms, which
    cost more than all else, are then taken only of the arrivals within the bound. If these are too few, the bound comes
    from more strata, and at last from all of them, when it holds.
    """
    strides = [stride for stride in _STRIDES if size >= stride * _MARGIN**2]  # of fewer, some strata tell nothing
    for stride in [*strides, 1]:
        bound = _bound(size, n, stride, weights, key)
        found = in_parts(n, partial(_arrivals, bound=bound, weights=weights, key=key))
        times = np.concatenate([times for _, times in found])
        if times.size >= size:
            break
    positions = np.concatenate([positions for positions, _ in found])
    is_first = np.zeros(times.size, bool)
    is_first[np.argpartition(times, size - 1)[:size]] = True
    return positions[is_first]


def _bound(size: int, n: int, stride: int, weights: Weights, key: np.uint64) -> float:
    """Return a time by which ``size`` positions have arrived, estimated from every ``stride``-th stratum."""
    wanted = size / stride
    if stride > 1:
        wanted += _MARGIN * math.sqrt(wanted)
    counts = sum(in_parts(n, partial(_count_by_time, stride=stride, weights=weights, key=key)))
    last = int(np.searchsorted(np.cumsum(counts), wanted))
    return float(np.uint64(min(last + 1, _INFINITE) << _SHIFT).view(np.float64))


@compiled
def _count_by_time(start: int, stop: int, stride: int, weights: Weights, key: np.uint64) -> NDArray[np.int64]:
    """Count the positions of every ``stride``-th stratum by the leading bits of their times, rounded up."""
    counts = np.zeros(_N_TIMES, np.int64)
    time, stratum = np.empty(1), np.empty(STRATUM)
    bits = np.frombuffer(time, np.uint64)
    for first in range(start, stop, stride * STRATUM):
        part = stratum[: min(STRATUM, stop - first)]
        fill_weights(part, first, weights)
        for i in range(part.size):
            if part[i] > 0.0:
                u = unit_float(mix(key, np.uint64(first + i)))
                time[0] = u / (1.0 - u) / part[i]  # at least -log(1 - u) / weight
                counts[bits[0] >> np.uint64(_SHIFT)] += 1
    return counts


@compiled
def _arrivals(
    start: int, stop: int, bound: float, weights: Weights, key: np.uint64
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the positions of [start, stop) that arrive up to ``bound``, and the logarithms of their times.

    A few that arrive just after it may be among them. By logarithms, neither tiny nor huge weights leave the range of
    floats.
    """
    positions, times, held = np.empty(1024, np.int64), np.empty(1024), 0
    stratum = np.empty(STRATUM)
    for first in range(start, stop, STRATUM):
        part = stratum[: min(STRATUM, stop - first)]
        fill_weights(part, first, weights)
        if held + STRATUM > positions.size:
            positions, times = np.concatenate((positions, positions)), np.concatenate((times, times))
        for i in range(part.size):
            u = unit_float(mix(key, np.uint64(first + i)))
            latest = part[i] * bound * _ROUNDING
            if u > latest or part[i] <= 0.0:  # -log(1 - u) is at least u
                continue
            waited = -math.log1p(-u)
            if waited <= latest:
                positions[held] = first + i
                times[held] = (math.log(waited) if waited > 0.0 else -np.inf) - math.log(part[i])
                held += 1
    return positions[:held], times[:held]
