"""Permutations: bijections that look uniformly random, for tables and for the Feistel network.

Statistical tests use fixed keys: they give the same answer on every run. Another generator, as good as this one, would
fail each check with a chance of `FALSE_ALARM`.
"""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples

from scdataset.strategy.permutation import SMALL_DOMAIN, KeyedPermutation, shuffled

FALSE_ALARM = 1e-4
BUCKETS = 16
EDGES = [1, 2, 3, *(2**k + d for k in (2, 5, 8, 12, 13, 16) for d in (-1, 0, 1)), SMALL_DOMAIN + 2, 2**20 + 1]
DOMAINS = [SMALL_DOMAIN, SMALL_DOMAIN + 1, 5000, 2**13, 2**13 + 1, 100_003, 10**9 + 7]
keys = st.integers(0, 2**64 - 1).map(np.uint64)


def _random_keys(seed, n):
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


@pytest.mark.parametrize("n", EDGES)
@pytest.mark.parametrize("key", [0, 1, 2**64 - 1])
def test_every_value_comes_once_in_a_domain_of(n, key):
    values = KeyedPermutation(n, np.uint64(key))(np.arange(n))
    assert np.array_equal(np.sort(values), np.arange(n))


@settings(deadline=None, max_examples=examples(100))
@given(n=st.integers(1, 3 * SMALL_DOMAIN), key=keys)
def test_every_value_comes_once(n, key):
    values = KeyedPermutation(n, key)(np.arange(n))
    assert np.array_equal(np.sort(values), np.arange(n))
    assert np.array_equal(np.sort(shuffled(n, key)), np.arange(n))


@settings(deadline=None, max_examples=examples(100))
@given(n=st.integers(SMALL_DOMAIN + 1, 2**63 - 1), key=keys, data=st.data())
def test_distinct_positions_of_a_huge_domain_have_distinct_values_inside_it(n, key, data):
    positions = data.draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1, max_size=50))
    values = KeyedPermutation(n, key)(np.array([*positions, positions[0]]))
    assert values.min() >= 0
    assert values.max() < n
    assert np.unique(values).size == len(positions)
    assert values[-1] == values[0]


@pytest.mark.parametrize("n", [10, SMALL_DOMAIN, SMALL_DOMAIN + 1, 20_000])
def test_a_value_does_not_depend_on_what_else_is_asked(n):
    permutation = KeyedPermutation(n, np.uint64(5))
    whole = permutation(np.arange(n))
    positions = np.random.default_rng(0).integers(0, n, 300)
    assert np.array_equal(permutation(positions), whole[positions])
    assert permutation(np.empty(0, np.int64)).size == 0


@pytest.mark.parametrize("n", [100, SMALL_DOMAIN, SMALL_DOMAIN + 1, 20_000])
def test_permutations_of_different_keys_agree_as_often_as_chance(n):
    positions = np.arange(n)
    values = [KeyedPermutation(n, key)(positions) for key in _random_keys(1, 301)]
    agreements = sum(np.count_nonzero(a == b) for a, b in pairwise(values))
    expected = stats.poisson(300)  # once a pair of permutations
    assert expected.ppf(FALSE_ALARM / 2) <= agreements <= expected.isf(FALSE_ALARM / 2)


@pytest.mark.parametrize("seed", range(3))
def test_all_24_permutations_of_4_are_equally_likely(seed):
    index = {order: k for k, order in enumerate(permutations(range(4)))}
    drawn = [index[tuple(shuffled(4, key).tolist())] for key in _random_keys(seed, 12_000)]
    assert stats.chisquare(np.bincount(drawn, minlength=24)).pvalue > FALSE_ALARM


@pytest.mark.parametrize("n", [2, 3, 7, 20])
@pytest.mark.parametrize("seed", range(3))
def test_every_value_is_equally_likely_at_every_position_of_a_small_domain(n, seed):
    table = np.zeros((n, n))
    n_keys = 6000
    for key in _random_keys(seed, n_keys):
        table[np.arange(n), KeyedPermutation(n, key)(np.arange(n))] += 1
    # Rows and columns of a permutation matrix sum to 1, which leaves (n - 1)^2 degrees of freedom.
    statistic = ((table - n_keys / n) ** 2).sum() * (n - 1) / n_keys
    assert stats.chi2((n - 1) ** 2).sf(statistic) > FALSE_ALARM


def _bucketed(n, positions, seed, n_keys):
    """Return the bucket of the value at each position for random keys, shape (n_keys, n_positions)."""
    values = np.array([KeyedPermutation(n, key)(positions) for key in _random_keys(seed, n_keys)])
    return (values / n * BUCKETS).astype(np.intp)


def _bucket_shares(n):
    return np.bincount((np.arange(n) / n * BUCKETS).astype(np.intp)) / n if n < 10**6 else np.full(BUCKETS, 1 / BUCKETS)


@pytest.mark.parametrize("n", DOMAINS)
@pytest.mark.parametrize("seed", range(3))
def test_values_are_uniform_at_every_position(n, seed):
    positions = np.linspace(0, n - 1, 12).astype(np.int64)
    n_keys = 2000
    buckets = _bucketed(n, positions, seed, n_keys)
    counts = np.array([np.bincount(column, minlength=BUCKETS) for column in buckets.T])
    expected = np.broadcast_to(n_keys * _bucket_shares(n), counts.shape)
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert stats.chi2(positions.size * (BUCKETS - 1)).sf(statistic) > FALSE_ALARM


@pytest.mark.parametrize("n", DOMAINS)
@pytest.mark.parametrize("distance", [1, 2, 64, 128])
def test_values_of_nearby_positions_do_not_depend_on_each_other(n, distance):
    starts = np.linspace(0, n - distance - 1, 6).astype(np.int64)
    buckets = _bucketed(n, np.concatenate([starts, starts + distance]), distance, 2000)
    pairs = buckets[:, : starts.size] * BUCKETS + buckets[:, starts.size :]
    share = _bucket_shares(n) * n
    expected = (np.outer(share, share) - np.diag(share)) / (n * (n - 1)) * pairs.size
    assert stats.chisquare(np.bincount(pairs.ravel(), minlength=BUCKETS**2), expected.ravel()).pvalue > FALSE_ALARM


@pytest.mark.parametrize("n", [SMALL_DOMAIN, SMALL_DOMAIN + 1, 2**14, 100_003])
@pytest.mark.parametrize("distance", [1, 64, 128, 1024])
def test_steps_between_values_are_uniform_inside_one_permutation(n, distance):
    values = KeyedPermutation(n, np.uint64(77))(np.arange(n))
    steps = (values[distance:] - values[:-distance]) % n  # 1 to n - 1
    counts, edges = np.histogram(steps, bins=40, range=(1, n))
    possible = np.diff(np.ceil(edges))
    possible[-1] = n - np.ceil(edges[-2])
    assert stats.chisquare(counts, possible / possible.sum() * steps.size).pvalue > FALSE_ALARM
