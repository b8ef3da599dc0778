"""Weighted draws with replacement, sorted, and never written out.

An epoch of N draws over n rows is the multinomial distribution, generated from the top of a tree of row ranges: how
many of a range's draws fall into its left half is binomial, and each range has its own key. Asking for the draws of
rank [a, b) in sorted order walks down from the top to the rows that hold them, so that any part of the epoch costs
O(log n) and the whole needs only the sums over strata of rows.

The upper part of the tree is flat: a few thousand cells, whose numbers of draws are drawn once an epoch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.strategy.binomial import binomial
from scdataset.strategy.keys import mix
from scdataset.strategy.weights import STRATUM, Weights, fill_weights

__all__ = ["SortedDraws"]

_MAX_CELLS = 16_384


@dataclass(frozen=True, slots=True)
class SortedDraws:
    """``n_draws`` independent draws of positions in [0, n), in ascending order.

    Attributes
    ----------
    n, n_draws
        Number of positions drawn from, and of draws.
    weights, prefix
        Weights of the positions, and their sums over strata (`stratum_prefix`).
    key
        64 bits that choose the draws.
    cell
        Positions in a cell, a multiple of ``STRATUM``.
    first_rank
        Rank of the first draw in each cell, shape ``(n_cells + 1,)``.
    """

    n: int
    n_draws: int
    weights: Weights
    prefix: NDArray[np.float64]
    key: np.uint64
    cell: int
    first_rank: NDArray[np.int64]

    @classmethod
    def from_key(
        cls, n: int, n_draws: int, weights: Weights, prefix: NDArray[np.float64], key: np.uint64
    ) -> "SortedDraws":
        """Draw the number of draws in each cell; the rest waits until it is asked for."""
        cell = STRATUM
        while -(-n // cell) > _MAX_CELLS:
            cell *= 2
        return cls(n, n_draws, weights, prefix, key, cell, _first_ranks(n, n_draws, cell, prefix, key))

    def at(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions drawn at ``ranks`` of the sorted draws; runs of ascending ranks cost the least."""
        return _draws_at(ranks, self.first_rank, self.cell, self.n, self.weights, self.prefix, self.key)


@compiled
def _weight_of_strata(low: int, high: int, prefix: NDArray[np.float64]) -> float:
    """Return the weight of positions [low, high), which are whole strata, the last one of them maybe short."""
    if prefix.size == 0:  # uniform weights
        return float(high - low)
    return float(prefix[-(-high // STRATUM)] - prefix[low // STRATUM])


@compiled
def _weight_between(low: int, high: int, n: int, prefix: NDArray[np.float64], stratum: NDArray[np.float64]) -> float:
    """Return the weight of positions [low, high): of whole strata, or of a part of the one whose weights are given."""
    if prefix.size == 0 or (low % STRATUM == 0 and (high % STRATUM == 0 or high == n)):
        return _weight_of_strata(low, high, prefix)
    first = low - low % STRATUM
    total = 0.0
    for place in range(low - first, high - first):
        total += stratum[place]
    return total


@compiled
def _share(part: float, rest: float) -> float:
    """Return the probability of ``part`` against ``rest``: exactly 0 or 1 where one has no weight."""
    if rest <= 0.0:
        return 1.0
    if part <= 0.0:
        return 0.0
    return part / (part + rest)


@compiled
def _first_ranks(n: int, n_draws: int, cell: int, prefix: NDArray[np.float64], key: np.uint64) -> NDArray[np.int64]:
    n_cells = -(-n // cell)
    first_rank = np.zeros(n_cells + 1, np.int64)
    for c in range(n_cells):
        low = c * cell
        high = min(low + cell, n)
        rest = _weight_of_strata(high, n, prefix) if high < n else 0.0
        share = _share(_weight_of_strata(low, high, prefix), rest)
        first_rank[c + 1] = first_rank[c] + binomial(n_draws - first_rank[c], share, mix(key, np.uint64(c)))
    return first_rank


@compiled
def _draws_at(
    ranks: NDArray[np.int64],
    first_rank: NDArray[np.int64],
    cell: int,
    n: int,
    weights: Weights,
    prefix: NDArray[np.float64],
    key: np.uint64,
) -> NDArray[np.int64]:
    out = np.empty(ranks.size, np.int64)
    stack = np.empty((128, 5), np.int64)
    stratum, held = np.empty(STRATUM), np.full(1, -1)
    done = 0
    while done < ranks.size:
        rank = ranks[done]
        c = np.searchsorted(first_rank, rank, side="right") - 1
        n_in_cell = first_rank[c + 1] - first_rank[c]
        start = rank - first_rank[c]
        longest = min(n_in_cell - start, ranks.size - done)
        run = 1
        while run < longest and ranks[done + run] == rank + run:
            run += 1
        stop = start + run
        _put(stack, int(np.int64(0)), c * cell, min((c + 1) * cell, n), n_in_cell, start, stop)
        _descend(stack, out[done : done + stop - start], n, weights, prefix, key, stratum, held)
        done += stop - start
    return out


@compiled
def _put(stack: NDArray[np.int64], depth: int, low: int, high: int, n_draws: int, start: int, stop: int) -> None:
    stack[depth, 0] = low
    stack[depth, 1] = high
    stack[depth, 2] = n_draws
    stack[depth, 3] = start
    stack[depth, 4] = stop


@compiled
def _descend(
    stack: NDArray[np.int64],
    out: NDArray[np.int64],
    n: int,
    weights: Weights,
    prefix: NDArray[np.float64],
    key: np.uint64,
    stratum: NDArray[np.float64],
    held: NDArray[np.int64],
) -> None:
    """Fill ``out`` with the draws of the range on the stack: (low, high, draws in it, first rank, last rank + 1).

    ``stratum`` is memory for the weights of the stratum ``held[0]``, which are read once for all the parts of it.
    """
    depth = int(np.int64(1))  # as what it becomes: what it is passed to would be compiled for both
    filled = 0
    while depth:
        depth -= 1
        low, high, n_draws = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        start, stop = stack[depth, 3], stack[depth, 4]
        if high - low == 1:
            for _ in range(stop - start):
                out[filled] = low
                filled += 1
            continue
        middle = (low + high) // 2
        if prefix.size and high - low <= STRATUM and held[0] != low // STRATUM:
            held[0] = low // STRATUM
            first = held[0] * STRATUM
            fill_weights(stratum[: min(STRATUM, n - first)], first, weights)
        if high - low > STRATUM:
            middle = low + -(-(high - low) // (2 * STRATUM)) * STRATUM
        share = _share(
            _weight_between(low, middle, n, prefix, stratum),
            _weight_between(middle, high, n, prefix, stratum),
        )
        n_left = binomial(n_draws, share, mix(mix(key, np.uint64(low)), np.uint64(high)))
        if stop > n_left:
            _put(stack, depth, middle, high, n_draws - n_left, max(start - n_left, 0), stop - n_left)
            depth += 1
        if start < n_left:
            _put(stack, depth, low, middle, n_left, start, min(stop, n_left))
            depth += 1
