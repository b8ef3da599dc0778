"""Draws without replacement: distinct rows inside each round of sampling_size.

Statistical tests use fixed seeds: they give the same answer on every run. Another generator, as good as this one, would
fail each check with a chance of `FALSE_ALARM`.
"""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples, rare

from scdataset.errors import ArgumentValueError
from scdataset.strategy import BlockWeightedSampling, rounds
from scdataset.strategy import weights as weights_module
from scdataset.strategy.keys import make_key, mix, unit_float
from scdataset.strategy.selection import Rows
from scdataset.strategy.weights import STRATUM, Weights

FALSE_ALARM = 1e-4


def _rounds(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@settings(deadline=None, max_examples=examples(150))
@given(
    n=st.integers(1, 300),
    total_size=st.none() | st.integers(1, 900),
    block_size=st.integers(1, 40),
    weighted=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    data=st.data(),
)
def test_no_row_repeats_inside_a_round(n, total_size, block_size, weighted, seed, data):
    weights = None
    n_positive = n
    if weighted:
        weights = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 100.0]), min_size=n, max_size=n)))
        weights[data.draw(st.integers(0, n - 1))] = 1.0
        n_positive = np.count_nonzero(weights)
    size = data.draw(st.integers(1, n_positive))
    strategy = BlockWeightedSampling(block_size, None, weights, total_size, replace=False, sampling_size=size)
    rows = strategy.get_indices(range(n), seed=seed)
    assert len(rows) == strategy.get_len(range(n)) == (n if total_size is None else total_size)
    assert weights is None or (weights[rows] > 0).all()
    for round_ in _rounds(rows, size):
        assert np.unique(round_).size == round_.size


@settings(deadline=None, max_examples=examples(60))
@given(n_blocks=st.integers(1, 10), block_size=st.integers(1, 10), n_rounds=st.integers(1, 4), seed=st.integers(0, 999))
def test_a_round_is_its_sorted_rows_cut_into_blocks(n_blocks, block_size, n_rounds, seed):
    size = n_blocks * block_size
    strategy = BlockWeightedSampling(block_size, None, None, n_rounds * size, replace=False, sampling_size=size)
    for round_ in _rounds(strategy.get_indices(range(3 * size), seed=seed), size):
        blocks = round_.reshape(n_blocks, block_size).tolist()
        assert sorted(blocks) == np.sort(round_).reshape(n_blocks, block_size).tolist()


def test_a_round_over_all_rows_is_every_row_once():
    strategy = BlockWeightedSampling(8, None, np.arange(1, 101), 250, replace=False, sampling_size=100)
    rows = strategy.get_indices(range(100), seed=0)
    assert np.array_equal(np.sort(rows[:100]), np.arange(100))
    assert np.array_equal(np.sort(rows[100:200]), np.arange(100))
    assert np.unique(rows[200:]).size == 50


def test_rounds_differ_from_each_other():
    strategy = BlockWeightedSampling(1, None, None, 600, replace=False, sampling_size=100)
    rounds = _rounds(strategy.get_indices(range(1000), seed=0), 100)
    assert len({tuple(sorted(round_.tolist())) for round_ in rounds}) == 6


def test_rounds_may_be_asked_for_in_any_order():
    order = BlockWeightedSampling(3, None, None, 95, replace=False, sampling_size=10).order(50, 1, 2)
    whole = order.rows(0, 95)
    for start in [90, 0, 55, 12, 94, 31, 3]:
        assert np.array_equal(order.rows(start, min(start + 25, 95)), whole[start : start + 25])


def _first_by_sorting(size, weights, key):
    """Return the positions of the first arrivals, by the time of each."""
    positions = np.flatnonzero(weights)
    uniform = np.array([unit_float(np.uint64(mix(key, np.uint64(position)))) for position in positions.tolist()])
    times = np.log(-np.log1p(-uniform)) - np.log(weights[positions])
    return np.sort(positions[np.argsort(times)[:size]])


@settings(deadline=None, max_examples=examples(100))
@given(
    n=st.integers(1, 20 * STRATUM),
    power=st.sampled_from([0.0, 1.0, 10.0, 300.0]),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    strides=st.lists(st.sampled_from([2, 3, 16]), max_size=2),
)
def test_the_rows_of_a_round_are_those_that_arrive_first_however_their_bound_is_found(n, power, share, seed, strides):
    rng = np.random.default_rng(seed)
    weights = np.sort(10.0 ** (rng.uniform(-1, 1, n) * power)) * (rng.random(n) < 0.8)  # strata that are unlike
    weights[rng.integers(n)] = 1.0
    size = 1 + int(share * (np.count_nonzero(weights) - 1))
    key = make_key(seed, 0, "arrivals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "_STRIDES", strides)
        patch.setattr(rounds, "_MARGIN", 1.0)
        patch.setattr(weights_module, "_PART", 4 * STRATUM)
        found = rounds.distinct(size, n, Weights.from_values(weights, Rows(n)), key)
    assert np.array_equal(found, _first_by_sorting(size, weights, key))


def test_total_size_left_out_is_as_many_as_there_are_rows():
    strategy = BlockWeightedSampling(4, range(0, 60, 2), replace=False, sampling_size=7)
    assert strategy.get_len(range(60)) == 30
    assert len(strategy.get_indices(range(60), seed=1)) == 30


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1e3], [5, 1, 1, 1]])
@pytest.mark.parametrize("seed", [0, *rare(1, 2)])
def test_the_first_of_a_round_comes_in_proportion_to_its_weight(weights, seed):
    strategy = BlockWeightedSampling(1, None, weights, 5000, replace=False, sampling_size=1)
    counts = np.bincount(strategy.get_indices(range(4), seed=seed), minlength=4)
    weights = np.array(weights, float)
    assert not counts[weights == 0].any()
    expected = weights[weights > 0] / weights.sum() * 5000
    assert stats.chisquare(counts[weights > 0], expected).pvalue > FALSE_ALARM


@pytest.mark.parametrize("seed", [0, *rare(1, 2)])
def test_the_second_of_a_round_comes_in_proportion_to_what_is_left(seed):
    weights = np.array([1.0, 2.0, 3.0, 6.0]) / 12
    strategy = BlockWeightedSampling(2, None, weights, 10_000, replace=False, sampling_size=2)
    pairs = strategy.get_indices(range(4), seed=seed).reshape(-1, 2)
    index = {pair: k for k, pair in enumerate(combinations(range(4), 2))}
    counts = np.bincount([index[tuple(pair)] for pair in pairs.tolist()], minlength=6)
    p = weights
    expected = [p[i] * p[j] / (1 - p[i]) + p[j] * p[i] / (1 - p[j]) for i, j in index]
    assert stats.chisquare(counts, np.array(expected) * 5000).pvalue > FALSE_ALARM


@pytest.mark.parametrize("size", [1, 3])
def test_of_thousands_of_rows_the_first_are_taken_in_proportion_to_their_weights(size):
    n, n_rounds = 8000, 2000
    weights = np.where(np.arange(n) < 4000, 1.0, 3.0)
    strategy = BlockWeightedSampling(8, None, weights, n_rounds * size, replace=False, sampling_size=size)
    parts = np.bincount(strategy.get_indices(range(n), seed=0) // 400, minlength=20)
    shares = np.where(np.arange(20) < 10, 0.025, 0.075)  # of so many rows, three are all but independent draws
    assert stats.chisquare(parts, shares * n_rounds * size).pvalue > FALSE_ALARM


@pytest.mark.parametrize("size", [500, 3000, 8000])
def test_a_large_round_has_distinct_rows_of_which_the_heavy_ones_come_first(size):
    n = 8000
    weights = np.where(np.arange(n) % 4 == 0, 1e6, 1e-6)
    rows = BlockWeightedSampling(8, None, weights, size, replace=False, sampling_size=size).get_indices(
        range(n), seed=0
    )
    assert np.unique(rows).size == size
    assert np.count_nonzero(rows % 4 == 0) == min(size, n // 4)


@pytest.mark.parametrize("n", [30, 5000])
@pytest.mark.parametrize("seed", [0, *rare(1, 2)])
def test_without_weights_every_row_is_as_likely_in_a_round(n, seed):
    strategy = BlockWeightedSampling(8, None, None, 20_000, replace=False, sampling_size=10)
    rows = strategy.get_indices(range(n), seed=seed)
    parts = np.bincount(rows * 30 // n, minlength=30)
    # Rows of a round are distinct, so that counts vary less than those of independent draws.
    statistic = ((parts - 20_000 / 30) ** 2 / (20_000 / 30)).sum() * ((n - 1) / (n - 10))
    assert FALSE_ALARM / 2 < stats.chi2(29).cdf(statistic) < 1 - FALSE_ALARM / 2


@pytest.mark.parametrize("dtype", ["i8", *rare("f4", "u1")])
def test_weights_of_any_type_choose_the_same_rows(dtype):
    weights = np.arange(200) % 7
    expected = BlockWeightedSampling(4, None, weights.astype(float), 300, replace=False, sampling_size=50)
    strategy = BlockWeightedSampling(4, None, weights.astype(dtype), 300, replace=False, sampling_size=50)
    assert np.array_equal(strategy.get_indices(range(200), seed=3), expected.get_indices(range(200), seed=3))


def test_replace_false_without_a_sampling_size_says_what_to_give():
    with pytest.raises(ArgumentValueError, match=r"replace=False needs sampling_size.*give sampling_size="):
        BlockWeightedSampling(replace=False)


def test_a_sampling_size_with_replacement_has_no_effect_and_warns():
    with pytest.warns(UserWarning, match="sampling_size=5 has no effect with replace=True") as caught:
        strategy = BlockWeightedSampling(sampling_size=5)
    assert caught[0].filename == __file__
    plain = BlockWeightedSampling()
    assert np.array_equal(strategy.get_indices(range(50), seed=1), plain.get_indices(range(50), seed=1))


@pytest.mark.parametrize(
    ("indices", "weights", "n_positive"),
    [(None, None, 20), (range(5), None, 5), (None, [0, 1] * 10, 10), (range(0, 20, 2), [0, 1] * 10, 0)],
)
def test_a_round_larger_than_the_rows_with_weight_is_refused_with_both_numbers(indices, weights, n_positive):
    strategy = BlockWeightedSampling(4, indices, weights, replace=False, sampling_size=max(n_positive, 20) + 1)
    message = rf"sampling_size={max(n_positive, 20) + 1} .*{n_positive} selected rows.* at most {n_positive}"
    if n_positive == 0:
        message = "none of 10 selected rows has a positive weight"
    with pytest.raises(ArgumentValueError, match=message):
        strategy.get_len(range(20))


@pytest.mark.parametrize("weights", [[5e-324, 1.0, 1e308], np.array([1e-45, 1, 1], np.float32)])
def test_rows_of_tiny_weight_still_fill_a_round(weights):
    strategy = BlockWeightedSampling(1, None, weights, replace=False, sampling_size=3)
    assert sorted(strategy.get_indices(range(3), seed=0).tolist()) == [0, 1, 2]
