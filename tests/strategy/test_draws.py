"""Sorted draws: independent, with the given probabilities, and any part of them without the rest.

Statistical tests use fixed keys: they give the same answer on every run. Another generator, as good as this one, would
fail each check with a chance of `FALSE_ALARM`.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples, rare

from scdataset.strategy import draws as draws_module
from scdataset.strategy.draws import SortedDraws
from scdataset.strategy.keys import make_key
from scdataset.strategy.selection import Rows
from scdataset.strategy.weights import STRATUM, Weights, stratum_prefix

FALSE_ALARM = 1e-4


def _sorted_draws(n, n_draws, values, key):
    weights = Weights.from_values(values, Rows(n))
    return SortedDraws.from_key(n, n_draws, weights, stratum_prefix(weights, n), np.uint64(key))


@st.composite
def weighted(draw, max_rows=6 * STRATUM):
    """Return weights, some of them zero, in runs that cross strata; None for uniform ones."""
    n = draw(st.integers(1, max_rows))
    if draw(st.booleans()):
        return n, None
    edges = sorted(draw(st.lists(st.integers(0, n), max_size=6)))
    values = np.random.default_rng(draw(st.integers(0, 1000))).random(n) ** draw(st.sampled_from([0, 1, 20]))
    for first, last in zip(edges[::2], edges[1::2], strict=False):
        values[first:last] = 0
    values[draw(st.integers(0, n - 1))] = 1.0
    return n, values


@settings(deadline=None, max_examples=examples(150))
@given(weighted=weighted(), n_draws=st.integers(1, 3000), key=st.integers(0, 2**64 - 1))
def test_draws_are_as_many_as_asked_for_sorted_and_never_without_weight(weighted, n_draws, key):
    n, values = weighted
    drawn = _sorted_draws(n, n_draws, values, key).at(np.arange(n_draws))
    assert drawn.size == n_draws
    assert (np.diff(drawn) >= 0).all()
    assert drawn[0] >= 0
    assert drawn[-1] < n
    assert values is None or (values[drawn] > 0).all()


@settings(deadline=None, max_examples=examples(150))
@given(weighted=weighted(), n_draws=st.integers(1, 1000), key=st.integers(0, 2**64 - 1), data=st.data())
def test_draws_at_any_ranks_equal_those_of_the_whole(weighted, n_draws, key, data):
    n, values = weighted
    drawn = _sorted_draws(n, n_draws, values, key)
    whole = drawn.at(np.arange(n_draws))
    ranks = np.array(data.draw(st.lists(st.integers(0, n_draws - 1), max_size=40)), np.int64)
    start = data.draw(st.integers(0, n_draws))
    stop = data.draw(st.integers(start, n_draws))
    assert np.array_equal(drawn.at(ranks), whole[ranks])
    assert np.array_equal(drawn.at(np.arange(start, stop)), whole[start:stop])


@pytest.mark.parametrize("n", [1, 2, STRATUM - 1, STRATUM, STRATUM + 1, 5 * STRATUM + 7])
@pytest.mark.parametrize("place", ["first", "last"])
def test_the_only_row_with_weight_gets_all_draws(n, place):
    values = np.zeros(n)
    values[0 if place == "first" else -1] = 1e-300
    expected = 0 if place == "first" else n - 1
    assert set(_sorted_draws(n, 1000, values, 5).at(np.arange(1000)).tolist()) == {expected}


def test_larger_cells_hold_what_many_rows_need(monkeypatch):
    monkeypatch.setattr(draws_module, "_MAX_CELLS", 3)
    n = 20 * STRATUM + 17
    values = np.where(np.arange(n) // 300 % 2, 1.0, 0.0)
    drawn = _sorted_draws(n, 40_000, values, 3)
    assert drawn.cell == 8 * STRATUM
    whole = drawn.at(np.arange(40_000))
    assert (values[whole] > 0).all()
    assert _p_value(np.bincount(whole // 100, minlength=-(-n // 100)), _share_of_parts(values, 100)) > FALSE_ALARM


def _share_of_parts(values, size):
    return np.add.reduceat(values, np.arange(0, values.size, size)) / values.sum()


def _p_value(counts, shares):
    assert not counts[shares == 0].any()
    return stats.chisquare(counts[shares > 0], shares[shares > 0] * counts.sum()).pvalue


DISTRIBUTIONS = {
    "uniform": lambda n: None,
    "equal": np.ones,
    "linear": lambda n: np.arange(1.0, n + 1),
    "skewed": lambda n: np.exp(-np.arange(n) / n * 6),
    "float32": lambda n: (1 + np.arange(n) % 5).astype(np.float32),
    "int64": lambda n: np.arange(n) % 4,
    "uint8": lambda n: (np.arange(n) % 3).astype(np.uint8),
    "gaps": lambda n: np.where(np.arange(n) // 17 % 3 == 1, 0.0, 2.0),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [40, 3 * STRATUM + 100])
@pytest.mark.parametrize("seed", [0, *rare(1, 2)])
def test_every_row_is_drawn_in_proportion_to_its_weight(name, n, seed):
    values = DISTRIBUTIONS[name](n)
    n_draws = 60 * n
    drawn = _sorted_draws(n, n_draws, values, make_key(seed, 0, "draws")).at(np.arange(n_draws))
    shares = np.full(n, 1 / n) if values is None else values / values.sum(dtype=float)
    assert _p_value(np.bincount(drawn, minlength=n), shares) > FALSE_ALARM


@pytest.mark.parametrize("name", ["uniform", "skewed"])
@pytest.mark.parametrize(("n", "part"), [(20, 1), (5 * STRATUM + 40, 131)])
def test_counts_spread_as_those_of_independent_draws(name, n, part):
    """Too even counts, or counts that move together, would show in how chi-square statistics are distributed."""
    values = DISTRIBUTIONS[name](n)
    shares = _share_of_parts(np.ones(n) if values is None else values, part)
    n_draws = int(8 / shares.min())
    statistics = []
    for seed in range(500):
        drawn = _sorted_draws(n, n_draws, values, make_key(seed, 1, "draws")).at(np.arange(n_draws))
        counts = np.bincount(drawn // part, minlength=shares.size)
        statistics.append(((counts - n_draws * shares) ** 2 / (n_draws * shares)).sum())
    assert stats.kstest(statistics, stats.chi2(shares.size - 1).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("left", "right"), [(0, 1), (0, 19), (9, 10)])
def test_counts_of_two_rows_vary_as_in_a_multinomial(left, right):
    n, n_draws, n_seeds = 20, 400, 2000
    counts = np.empty((n_seeds, 2))
    for seed in range(n_seeds):
        drawn = _sorted_draws(n, n_draws, None, make_key(seed, 2, "draws")).at(np.arange(n_draws))
        counts[seed] = np.bincount(drawn, minlength=n)[[left, right]]
    share = 1 / n
    alone = counts.var(axis=0, ddof=1) / (n_draws * share * (1 - share))
    together = (counts.sum(axis=1)).var(ddof=1) / (n_draws * 2 * share * (1 - 2 * share))
    for ratio in (*alone, together):
        assert FALSE_ALARM / 2 < stats.chi2(n_seeds - 1).cdf(ratio * (n_seeds - 1)) < 1 - FALSE_ALARM / 2


@pytest.mark.parametrize("n", [20, 4 * STRATUM])
def test_counts_of_successive_epochs_do_not_depend_on_each_other(n):
    counts = []
    for epoch in range(1001):
        drawn = _sorted_draws(n, 200, None, make_key(0, epoch, "draws")).at(np.arange(200))
        counts.append(np.count_nonzero(drawn < n // 3))
    assert stats.pearsonr(counts[:-1], counts[1:]).pvalue > FALSE_ALARM


def test_a_billion_rows_are_drawn_from_evenly():
    n = 10**9
    drawn = _sorted_draws(n, 50_000, None, 11).at(np.arange(50_000))
    assert stats.kstest(drawn / n, "uniform").pvalue > FALSE_ALARM


def test_weights_of_very_different_size_are_drawn_in_proportion():
    values = np.array([1e-30, 1e30, 1e30, 3e30, 0.0, 1e-300])
    drawn = _sorted_draws(6, 40_000, values, 2).at(np.arange(40_000))
    assert set(drawn.tolist()) == {1, 2, 3}
    assert stats.chisquare(np.bincount(drawn)[1:], np.array([8000, 8000, 24_000])).pvalue > FALSE_ALARM
