"""Binomial variates as a pure function of a key."""

import math

import numpy as np

from scdataset._compiled import compiled
from scdataset.strategy.keys import mix, unit_float

__all__ = ["binomial"]

_REJECTION_FROM = 10.0
"""Mean from which rejection is used: inversion takes a step a success."""


@compiled
def binomial(n: int, p: float, key: np.uint64) -> int:
    """Draw the number of successes in ``n`` trials of probability ``p``.

    Inversion for small means, transformed rejection (Hormann 1993, algorithm BTRS) otherwise: exact to the rounding of
    double precision, in O(1) time for any ``n``.
    """
    if n <= 0 or p <= 0.0:
        return 0
    if p >= 1.0:
        return n
    rare = min(p, 1.0 - p)
    successes = _by_rejection(n, rare, key) if n * rare >= _REJECTION_FROM else _by_inversion(n, rare, key)
    return successes if p <= 0.5 else n - successes


@compiled
def _by_inversion(n: int, p: float, key: np.uint64) -> int:
    odds = p / (1.0 - p)
    at_zero = math.exp(n * math.log1p(-p))
    counter = np.uint64(0)
    while True:
        u = unit_float(mix(key, counter))
        counter += np.uint64(1)
        probability = at_zero
        k = 0
        while u > probability > 0.0 and k <= n:
            u -= probability
            k += 1
            probability *= odds * (n - k + 1) / k
        if k <= n and probability > 0.0:  # u can outlast the rounded sum of all probabilities; draw again
            return k


@compiled
def _by_rejection(n: int, p: float, key: np.uint64) -> int:
    spread = math.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = n * p + 0.5
    v_always = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    mode = math.floor((n + 1) * p)
    log_mode = _log_probability(n, mode, p)
    counter = np.uint64(0)
    while True:
        u = unit_float(mix(key, counter)) - 0.5
        v = unit_float(mix(key, counter + np.uint64(1)))
        counter += np.uint64(2)
        edge = 0.5 - abs(u)
        k = math.floor((2.0 * a / edge + b) * u + centre) if edge > 0.0 else -1
        if edge >= 0.07 and v <= v_always:
            return int(k)
        if k < 0 or k > n or v <= 0.0:
            continue
        if math.log(v * alpha / (a / (edge * edge) + b)) <= _log_probability(n, k, p) - log_mode:
            return int(k)


@compiled
def _log_probability(n: int, k: float, p: float) -> float:
    """Return the log probability of ``k`` successes, up to a term that depends on n alone.

    Stirling's series is centred on (n, k) so that nothing large cancels.
    """
    x = k + 1.0
    y = n - k + 1.0
    mean_x = (n + 2.0) * p
    mean_y = (n + 2.0) * (1.0 - p)
    return -(x - 0.5) * math.log(x / mean_x) - (y - 0.5) * math.log(y / mean_y) - _stirling_rest(x) - _stirling_rest(y)


@compiled
def _stirling_rest(x: float) -> float:
    """Return log Gamma(x) - ((x - 0.5) log x - x + 0.5 log(2 pi))."""
    if x < 10.0:
        return math.lgamma(x) - ((x - 0.5) * math.log(x) - x + 0.9189385332046727)
    square = x * x
    return (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / x
