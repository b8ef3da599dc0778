"""Counts drawn without replacement, compiled, as a pure function of keys."""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.strategy.keys import mix, unit_float

__all__ = ["downsampled", "first_uncountable", "hypergeometric"]

_ONE_BY_ONE = 16
"""Draws up to which each is drawn by itself, which costs less than a sum over the distribution."""

_NEGLIGIBLE = 1e-20
"""Probability, as a share of the largest, from which on the rest of the distribution is left out."""


@compiled
def first_uncountable(data: Array) -> int:
    """Return the place of the first value that is no count: negative, fractional or not finite; -1 if there is none."""
    for place in range(data.size):
        value = data[place]
        if not 0 <= value < 2.0**53 or value != np.floor(value):
            return place
    return -1


@compiled
def downsampled(
    data: Array,
    indices: Array,
    indptr: Array,
    keys: NDArray[np.uint64],
    totals: NDArray[np.int64],
    wanted: NDArray[np.int64],
) -> Array:
    """Return the counts of every row after ``wanted`` of its ``totals`` were drawn without replacement.

    The multivariate distribution is drawn gene by gene, each from what is left. Totals may count more genes than X has.
    """
    kept = np.zeros_like(data)
    for row in range(keys.size):
        n_left, n_wanted = int(totals[row]), int(wanted[row])
        for k in range(indptr[row], indptr[row + 1]):
            n_here = int(data[k])
            drawn = hypergeometric(n_here, n_left - n_here, n_wanted, mix(keys[row], np.uint64(indices[k])))
            kept[k] = drawn
            n_left -= n_here
            n_wanted -= drawn
    return kept


@compiled
def hypergeometric(n_good: int, n_bad: int, n_drawn: int, key: np.uint64) -> int:
    """Draw how many of ``n_good`` are among ``n_drawn``, drawn from those and ``n_bad`` others.

    One by one where there are few, else by inversion of the summed distribution: exact to double precision, in as many
    steps as its standard deviation has units.
    """
    if n_drawn >= n_good + n_bad:
        return n_good
    if n_drawn <= 0 or n_good <= 0:
        return 0
    if n_bad <= 0:
        return n_drawn
    if n_good <= _ONE_BY_ONE:
        return _one_by_one(n_good, n_bad, n_drawn, key)
    if n_drawn <= _ONE_BY_ONE:  # the distribution is the same with the two numbers changed over
        return _one_by_one(n_drawn, n_good + n_bad - n_drawn, n_good, key)
    return _by_inversion(n_good, n_bad, n_drawn, key)


@compiled
def _one_by_one(n_good: int, n_bad: int, n_drawn: int, key: np.uint64) -> int:
    drawn = 0
    for step in range(n_good):
        if unit_float(mix(key, np.uint64(step))) * (n_good + n_bad - step) < n_drawn - drawn:
            drawn += 1
    return drawn


@compiled
def _by_inversion(n_good: int, n_bad: int, n_drawn: int, key: np.uint64) -> int:
    """Walk the distribution from the lowest number that matters, with probabilities as shares of that of the mode."""
    lowest, highest = max(0, n_drawn - n_bad), min(n_good, n_drawn)
    mode = int((n_drawn + 1.0) * (n_good + 1.0) / (n_good + n_bad + 2.0))
    mode = min(max(mode, lowest), highest)
    total = share = 1.0
    k = mode
    while k < highest and share > _NEGLIGIBLE:
        share *= (n_good - k) / (k + 1.0) * ((n_drawn - k) / (n_bad - n_drawn + k + 1.0))
        total += share
        k += 1
    highest, share, k = k, 1.0, mode
    while k > lowest and share > _NEGLIGIBLE:
        share *= k / (n_good - k + 1.0) * ((n_bad - n_drawn + k) / (n_drawn - k + 1.0))
        total += share
        k -= 1
    left = unit_float(mix(key, np.uint64(0))) * total
    while k < highest and left >= share:
        left -= share
        share *= (n_good - k) / (k + 1.0) * ((n_drawn - k) / (n_bad - n_drawn + k + 1.0))
        k += 1
    return k
