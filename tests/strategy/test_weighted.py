"""BlockWeightedSampling: what belongs to which row, how many draws, how they are laid out, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples, rare

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy import BlockWeightedSampling, weighted

FALSE_ALARM = 1e-4
"""Chance of another, equally good generator to fail one check; with the fixed seeds here the answer never changes."""


@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
def test_the_weight_of_row_30_must_draw_row_30_not_row_10():
    strategy = BlockWeightedSampling(1, [30, 10, 20], [1, 0, 0], 50)
    assert set(strategy.get_indices(range(100), seed=0).tolist()) == {30}


@pytest.mark.filterwarnings("ignore:indices")
@settings(deadline=None, max_examples=examples(150))
@given(
    indices=st.lists(st.integers(0, 99), min_size=1, max_size=99),
    form=st.sampled_from(["array", "list", "float32"]),
    aligned_to=st.sampled_from(["auto", "indices"]),
    data=st.data(),
)
def test_a_weight_per_index_follows_its_index(indices, form, aligned_to, data):
    weights = np.array(data.draw(st.lists(st.sampled_from([0, 1, 3]), min_size=len(indices), max_size=len(indices))))
    weights[data.draw(st.integers(0, len(indices) - 1))] = 2
    given_weights = {"array": weights, "list": weights.tolist(), "float32": weights.astype(np.float32)}[form]
    strategy = BlockWeightedSampling(3, indices, given_weights, 200, aligned_to=aligned_to)
    drawn = set(strategy.get_indices(range(100), seed=0).tolist())
    assert drawn <= {index for index, weight in zip(indices, weights, strict=True) if weight}


@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
@pytest.mark.parametrize("aligned_to", ["auto", "collection"])
@pytest.mark.parametrize(
    "indices", [[30, 10, 20], [10, 20, 30], range(10, 31, 10), np.isin(np.arange(100), [10, 20, 30])]
)
def test_a_weight_per_row_of_the_collection_stays_with_its_row(aligned_to, indices):
    weights = np.zeros(100)
    weights[[5, 20]] = 1
    strategy = BlockWeightedSampling(4, indices, weights, 50, aligned_to=aligned_to)
    assert set(strategy.get_indices(range(100), seed=0).tolist()) == {20}


@pytest.mark.parametrize("mask", [True, False])
def test_a_weight_per_selected_row_of_a_mask_or_range_follows_in_ascending_order(mask):
    indices = np.isin(np.arange(100), [10, 20, 30]) if mask else range(10, 31, 10)
    strategy = BlockWeightedSampling(4, indices, [0, 0, 1], 50)
    assert set(strategy.get_indices(range(100), seed=0).tolist()) == {30}


@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
def test_where_both_lengths_fit_the_collection_is_meant_unless_said_otherwise():
    weights, indices = [1, 0, 0], [2, 0, 1]
    for aligned_to, row in [("auto", 0), ("collection", 0), ("indices", 2)]:
        strategy = BlockWeightedSampling(4, indices, weights, 20, aligned_to=aligned_to)
        assert set(strategy.get_indices(range(3), seed=0).tolist()) == {row}


@pytest.mark.parametrize(
    ("aligned_to", "n_weights"), [("auto", 4), ("auto", 99), ("collection", 3), ("indices", 100), ("auto", 101)]
)
def test_weights_of_another_length_are_refused_with_all_lengths(aligned_to, n_weights):
    strategy = BlockWeightedSampling(4, [1, 2, 3], np.ones(n_weights), aligned_to=aligned_to)
    message = rf"weights has length {n_weights}; .*\(100\).*\(3\), as aligned_to='{aligned_to}'"
    with pytest.raises(ArgumentValueError, match=message):
        strategy.get_len(range(100))


@settings(deadline=None, max_examples=examples(100))
@given(
    n=st.integers(1, 300),
    total_size=st.none() | st.integers(1, 1000),
    block_size=st.integers(1, 60),
    is_weighted=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
)
def test_an_epoch_has_exactly_total_size_draws(n, total_size, block_size, is_weighted, seed):
    strategy = BlockWeightedSampling(block_size, None, np.arange(1, n + 1) if is_weighted else None, total_size)
    rows = strategy.get_indices(range(n), seed=seed)
    assert len(rows) == strategy.get_len(range(n)) == (n if total_size is None else total_size)
    assert rows.min() >= 0
    assert rows.max() < n


@settings(deadline=None, max_examples=examples(100))
@given(n_blocks=st.integers(1, 30), block_size=st.integers(1, 30), seed=st.integers(0, 2**64 - 1))
def test_an_epoch_is_its_sorted_draws_cut_into_blocks(n_blocks, block_size, seed):
    strategy = BlockWeightedSampling(block_size, None, np.arange(1, 51), n_blocks * block_size)
    rows = strategy.get_indices(range(50), seed=seed)
    blocks = rows.reshape(n_blocks, block_size)
    assert (np.diff(blocks, axis=1) >= 0).all()
    assert sorted(blocks.tolist()) == np.sort(rows).reshape(n_blocks, block_size).tolist()


@pytest.mark.parametrize("indices", [None, np.arange(0, 3000, 7)])
def test_an_epoch_that_is_written_out_is_the_one_that_is_not(monkeypatch, indices):
    strategy = BlockWeightedSampling(5, indices, np.arange(3000) % 11, total_size=4_003)
    written = strategy.order(3000, seed=1, epoch=2)
    expected = written.rows(0, len(written))
    monkeypatch.setattr(weighted, "_SHORT_EPOCH", 0)
    lazy = strategy.order(3000, seed=1, epoch=2)
    for start in (0, 1, 997, 3_990):
        stop = min(start + 500, len(lazy))
        assert np.array_equal(lazy.rows(start, stop), expected[start:stop])
        assert np.array_equal(written.rows(start, stop), expected[start:stop])


def test_blocks_come_in_random_order():
    strategy = BlockWeightedSampling(10, None, None, 10_000)
    means = strategy.get_indices(range(10_000), seed=0).reshape(-1, 10).mean(axis=1)
    assert stats.spearmanr(means, np.arange(means.size)).pvalue > FALSE_ALARM


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("indices", [None, range(3, 60, 4), [1, 5, 30, 31, 59]])
def test_rows_come_in_proportion_to_their_weights(seed, indices):
    weights = np.arange(60) ** 2 % 13 + 1.0
    rows = BlockWeightedSampling(8, indices, weights, 30_000).get_indices(range(60), seed=seed)
    selected = np.arange(60) if indices is None else np.array(indices)
    counts = np.bincount(rows, minlength=60)[selected]
    shares = weights[selected] / weights[selected].sum()
    assert stats.chisquare(counts, shares * 30_000).pvalue > FALSE_ALARM


@pytest.mark.parametrize("dtype", ["f2", "f4", "i8", "?", ">f8", *rare("u1", "i2", "i4", ">i4")])
def test_weights_of_any_numeric_type_draw_the_same_rows(dtype):
    weights = np.arange(100) % 2
    expected = BlockWeightedSampling(8, None, weights.astype(float)).get_indices(range(100), seed=1)
    strategy = BlockWeightedSampling(8, None, weights.astype(dtype))
    assert np.array_equal(strategy.get_indices(range(100), seed=1), expected)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
def test_weights_are_kept_as_given_without_a_copy(dtype):
    weights = np.ones(10, dtype)
    strategy = BlockWeightedSampling(weights=weights)
    prepared = strategy.order(10, 0, 0).draws.weights
    assert np.shares_memory(prepared.values, weights)


def test_weights_are_read_as_shares():
    strategy = BlockWeightedSampling(weights=np.arange(5, dtype="u1"))
    assert strategy.weights.tolist() == [0, 0.1, 0.2, 0.3, 0.4]
    assert BlockWeightedSampling().weights is None


def test_what_is_assigned_takes_effect_in_the_next_epoch():
    strategy = BlockWeightedSampling(4, weights=np.ones(100), total_size=60)
    before = strategy.order(100, 0, 0)
    strategy.weights = np.eye(100)[7]
    strategy.total_size = 30
    strategy.block_size = np.int64(2)
    assert set(strategy.get_indices(range(100), seed=0)) == {7}
    assert strategy.get_len(range(100)) == 30
    assert len(before) == 60
    assert len(set(before.rows(0, 60))) > 10
    strategy.weights = None
    strategy.indices = range(20, 40)
    assert set(strategy.get_indices(range(100), seed=0)) <= set(range(20, 40))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", [1, -1]),
        ("weights", "no"),
        ("total_size", 0),
        ("block_size", 1.5),
        ("replace", "yes"),
        ("aligned_to", "rows"),
        ("indices", [-1]),
        ("sampling_size", -3),
    ],
)
def test_what_is_assigned_is_checked_and_what_was_there_stays(name, value):
    strategy = BlockWeightedSampling(4, weights=np.ones(100), total_size=60)
    rows = strategy.get_indices(range(100), seed=0)
    with pytest.raises((ArgumentValueError, ArgumentTypeError), match=name):
        setattr(strategy, name, value)
    assert np.array_equal(strategy.get_indices(range(100), seed=0), rows)


def test_parameters_that_do_not_go_together_are_refused_in_the_next_epoch():
    strategy = BlockWeightedSampling(4)
    strategy.replace = False
    with pytest.raises(ArgumentValueError, match="replace=False needs sampling_size"):
        strategy.get_indices(range(100), seed=0)
    strategy.sampling_size = 50
    assert len(set(strategy.get_indices(range(100), seed=0)[:50])) == 50


def test_fewer_weights_than_indices_are_refused_at_construction():
    with pytest.raises(ArgumentValueError, match=r"weights has length 2 and indices selects 5 rows; .*\(5\)"):
        BlockWeightedSampling(weights=[1.0, 2.0], indices=range(5))


@pytest.mark.slow  # compiles all anew for such an array
def test_weights_may_be_strided_or_read_only():
    weights = np.zeros(20)
    weights[6] = 1
    weights.flags.writeable = False
    assert set(BlockWeightedSampling(1, None, weights[::2]).get_indices(range(10), seed=0).tolist()) == {3}


@pytest.mark.parametrize("weights", [[1e308] * 5, np.full(4, np.finfo(np.float64).max), [0.0, 1.5e308, 1.5e308]])
def test_weights_whose_sum_overflows_are_refused_or_drawn_in_proportion(weights):
    try:
        rows = BlockWeightedSampling(1, None, weights, 2000).get_indices(range(len(weights)), seed=0)
    except ArgumentValueError as error:
        assert "weights" in str(error)  # noqa: PT017
    else:
        assert stats.chisquare(np.bincount(rows, minlength=len(weights))[np.array(weights) > 0]).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, -0.5], ArgumentValueError, r"values from -0.5 to 1.0 .* finite numbers of at least 0"),
        ([1.0, np.nan], ArgumentValueError, r"1 missing values among 2"),
        ([1.0, np.inf], ArgumentValueError, r"to inf .* give finite numbers"),
        ([0, 0, 0], ArgumentValueError, r"all zero \(3 of them\)"),
        ([], ArgumentValueError, r"shape \(0,\)"),
        ([[1.0, 2.0]], ArgumentValueError, r"shape \(1, 2\)"),
        (3.0, ArgumentValueError, r"shape \(\)"),
        (["a", "b"], ArgumentTypeError, r"dtype <U1; give real numbers"),
        ([1.0, None], ArgumentTypeError, r"dtype object; give real numbers"),
        ([1j], ArgumentTypeError, r"dtype complex128; give real numbers"),
        ([[1.0], [1.0, 2.0]], ArgumentTypeError, r"of which numpy makes no array .*give one number a row"),
    ],
)
def test_weights_that_are_no_probabilities_are_refused_at_construction(weights, error, message):
    with pytest.raises(error, match=message):
        BlockWeightedSampling(weights=weights)


def test_a_selection_without_weight_is_refused():
    strategy = BlockWeightedSampling(8, [0, 1], [0, 0, 1.0])
    with pytest.raises(ArgumentValueError, match="weights: none of 2 selected rows has a positive weight"):
        strategy.order(3, 0, 0)


def test_an_empty_collection_has_nothing_to_draw():
    with pytest.raises(ArgumentValueError, match="nothing can be drawn"):
        BlockWeightedSampling().get_len([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total_size": 0}, r"total_size=0 .* at least 1"),
        ({"total_size": 2.5}, r"total_size=2.5 is of type float"),
        ({"block_size": 0}, r"block_size=0 .* at least 1"),
        ({"replace": 2}, r"replace=2 is of type int; give True or False"),
        ({"sampling_size": -1, "replace": False}, r"sampling_size=-1 .* at least 1"),
        ({"aligned_to": "rows"}, r"aligned_to='rows' is not known; give \"auto\", \"collection\" or \"indices\""),
    ],
)
def test_options_out_of_bounds_are_refused_by_name(options, message):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=message):
        BlockWeightedSampling(**options)


def test_a_strategy_serves_collections_of_different_length_in_turn():
    strategy = BlockWeightedSampling(2, [0, 1, 2], [0, 1, 0], 10)
    for n in (5, 3, 50, 5):
        assert set(strategy.get_indices(range(n), seed=0).tolist()) == {1}


def test_weights_in_one_column_are_those_of_the_rows():
    pd = pytest.importorskip("pandas")
    weights = (np.arange(100) == 30) * 1.0
    for column in (weights[:, None], pd.DataFrame({"weight": weights})):
        assert set(BlockWeightedSampling(1, weights=column).get_indices(range(100), seed=0).tolist()) == {30}


def test_missing_weights_are_counted():
    with pytest.raises(ArgumentValueError, match=r"weights has 2 missing values among 3; give finite"):
        BlockWeightedSampling(1, weights=[1, np.nan, np.nan])
