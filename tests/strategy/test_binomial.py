"""Binomial variates, against the distribution's own formulas.

Statistical tests use fixed keys: they give the same answer on every run. Another generator, as good as this one, would
fail each check with a chance of `FALSE_ALARM`.
"""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from tests.examples import examples

from scdataset.strategy.binomial import _REJECTION_FROM, _log_probability, _stirling_rest, binomial

FALSE_ALARM = 1e-4
N_DRAWS = 400_000
INVERSION = [(1, 0.3), (7, 0.5), (19, 0.5), (50, 0.1), (1000, 0.001), (1000, 0.0099), (10**6, 1e-6), (12, 0.9)]
REJECTION = [(20, 0.5), (21, 0.5), (100, 0.1), (100, 0.37), (1000, 0.5), (1000, 0.011), (10**6, 0.2), (10**6, 2e-5)]
MOSTLY_SUCCESSES = [(100, 0.9), (1000, 0.995), (10**6, 1 - 2e-5), (40, 0.51)]
HUGE = [(10**9, 0.3), (10**9, 0.5), (10**9, 1e-8), (10**9, 5e-9), (10**9, 0.999), (2**40, 0.123), (2**52, 0.5)]
keys = st.integers(0, 2**64 - 1).map(np.uint64)


def _draws(n, p, seed):
    return _drawn(n, p, np.random.default_rng(seed).integers(0, 2**64, N_DRAWS, dtype=np.uint64))


@numba.njit
def _drawn(n, p, keys):
    out = np.empty(keys.size, np.int64)
    for k in range(keys.size):
        out[k] = binomial(n, p, keys[k])
    return out


@pytest.mark.parametrize(("n", "p"), INVERSION + REJECTION + MOSTLY_SUCCESSES)
@pytest.mark.parametrize("seed", range(2))
def test_counts_follow_the_binomial_distribution(n, p, seed):
    expected = stats.binom(n, p)
    edges = np.unique(expected.ppf(np.linspace(0.005, 0.995, 60)))  # a class ends with each edge, inclusive
    edges = edges[expected.sf(edges) * N_DRAWS > 5]
    shares = np.diff(np.concatenate([[0.0], expected.cdf(edges), [1.0]]))
    counts = np.bincount(np.searchsorted(edges, _draws(n, p, seed)), minlength=shares.size)
    assert stats.chisquare(counts, shares * N_DRAWS).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("n", "p"), HUGE)
def test_huge_counts_have_the_mean_the_variance_and_the_shape(n, p):
    expected = stats.binom(n, p)
    draws = _draws(n, p, 0).astype(float)
    mean, variance = n * p, n * p * (1 - p)
    excess = stats.binom.stats(n, p, moments="k")
    assert abs(draws.mean() - mean) < 5 * np.sqrt(variance / N_DRAWS)
    assert abs(draws.var() / variance - 1) < 5 * np.sqrt((2 + excess) / N_DRAWS)
    edges = np.unique(expected.ppf(np.linspace(0.02, 0.98, 40)))
    shares = np.diff(np.concatenate([[0.0], expected.cdf(edges), [1.0]]))
    counts = np.bincount(np.searchsorted(edges, draws), minlength=shares.size)
    assert stats.chisquare(counts, shares * N_DRAWS).pvalue > FALSE_ALARM


@settings(deadline=None, max_examples=examples(300))
@given(n=st.integers(0, 2**53), p=st.floats(0, 1), key=keys)
def test_successes_are_between_none_and_all_and_the_same_every_time(n, p, key):
    successes = binomial(n, p, key)
    assert 0 <= successes <= n
    assert binomial(n, p, key) == successes


@settings(deadline=None, max_examples=examples(300))
@given(n=st.integers(0, 100), p=st.floats(0, 1), key=keys)
def test_few_trials_are_within_bounds_too(n, p, key):
    assert 0 <= binomial(n, p, key) <= n


@pytest.mark.parametrize("n", [0, 1, 10, 10**9, 2**60])
def test_certain_outcomes_are_certain(n):
    for key in np.arange(20, dtype=np.uint64):
        assert binomial(n, 0.0, key) == 0
        assert binomial(n, 1.0, key) == n


def test_no_trial_has_no_success():
    assert {binomial(0, p, np.uint64(3)) for p in (0.0, 0.2, 0.5, 0.9, 1.0)} == {0}


@pytest.mark.parametrize(("n", "p"), [(10, 0.3), (10**5, 0.3), (10**5, 0.8)])
def test_draws_of_successive_keys_do_not_depend_on_each_other(n, p):
    draws = _drawn(n, p, np.arange(100_000, dtype=np.uint64)).astype(float)
    assert stats.pearsonr(draws[:-1], draws[1:]).pvalue > FALSE_ALARM


@pytest.mark.parametrize("p", [0.0, 1e-300, 5e-324, 1 - 2**-53])
def test_extreme_probabilities_end_at_once(p):
    assert binomial(10**9, p, np.uint64(1)) in {0, 10**9}


@pytest.mark.parametrize(("n", "p"), [*REJECTION, (10**4, 0.001), (10**9, 0.3)])
def test_rejection_compares_exact_probabilities(n, p):
    mode = int((n + 1) * p)
    for k in stats.binom(n, p).ppf([1e-9, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-3, 1 - 1e-9]).astype(int):
        steps = np.arange(min(k, mode), max(k, mode))
        expected = np.log((n - steps) / (steps + 1.0) * (p / (1 - p))).sum() * (1 if k > mode else -1)
        log_ratio = _log_probability(n, k, p) - _log_probability(n, mode, p)
        assert log_ratio == pytest.approx(expected, abs=1e-9 + 4e-16 * n)


@pytest.mark.parametrize("x", [1.0, 2.5, 9.999, 10.0, 11.0, 50.0, 1e4])
def test_stirlings_series_is_completed_exactly(x):
    series = (x - 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi)
    assert _stirling_rest(x) == pytest.approx(special.gammaln(x) - series, abs=1e-10)


def test_both_methods_are_tested():
    assert all(n * min(p, 1 - p) < _REJECTION_FROM for n, p in INVERSION)
    assert all(n * min(p, 1 - p) >= _REJECTION_FROM for n, p in REJECTION)
