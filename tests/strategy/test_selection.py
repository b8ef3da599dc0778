"""The indices argument: every form has its defined answer, and every mistake its message."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from scdataset._tables import counted
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, Streaming
from scdataset.strategy.selection import Selection

TAKES_INDICES = {
    "Streaming": Streaming,
    "BlockShuffling": lambda indices: BlockShuffling(4, indices),
    "BlockWeightedSampling": lambda indices: BlockWeightedSampling(4, indices),
    "ClassBalancedSampling": lambda indices: ClassBalancedSampling(["a", "b"] * 50, 4, indices),
}
every_strategy = pytest.mark.parametrize("make", TAKES_INDICES.values(), ids=TAKES_INDICES)


@settings(deadline=None, max_examples=examples(200))
@given(listed=st.lists(st.integers(0, 99), min_size=1, max_size=150), dtype=st.sampled_from(["i1", "u1", "i4", "u8"]))
def test_a_list_selects_its_rows_ascending_each_as_often_as_listed(listed, dtype):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = Selection(np.array(listed, dtype)).rows_of(100)
    messages = [str(warning.message) for warning in caught]
    assert all(warning.category is UserWarning for warning in caught)
    assert any("not in ascending order" in message for message in messages) == (listed != sorted(listed))
    repeated = len(listed) - len(set(listed))
    assert any(f"lists {counted(repeated, 'row')} more than once" in message for message in messages) == bool(repeated)
    assert rows.between(0, rows.count).tolist() == sorted(listed)
    assert rows.at(np.arange(rows.count)[::-1]).tolist() == sorted(listed, reverse=True)


@settings(deadline=None, max_examples=examples(200))
@given(start=st.integers(0, 50), length=st.integers(1, 50), step=st.integers(1, 7), data=st.data())
def test_a_range_selects_what_it_lists(start, length, step, data):
    indices = range(start, start + length, step)
    rows = Selection(indices).rows_of(100)
    assert rows.count == len(indices)
    assert rows.listed.size == 0
    first = data.draw(st.integers(0, rows.count))
    last = data.draw(st.integers(first, rows.count))
    assert rows.between(first, last).tolist() == list(indices)[first:last]
    assert rows.at(np.arange(first, last)).tolist() == list(indices)[first:last]


@settings(deadline=None, max_examples=examples(100))
@given(mask=st.lists(st.booleans(), min_size=1, max_size=80).filter(any), as_list=st.booleans())
def test_a_mask_selects_where_it_is_true(mask, as_list):
    selection = Selection(mask if as_list else np.array(mask))
    assert selection.given.tolist() == np.flatnonzero(mask).tolist()
    assert selection.rows_of(len(mask)).count == selection.count == sum(mask)


def test_no_indices_select_all_rows():
    selection = Selection(None)
    assert selection.given is None
    assert selection.count is None
    assert selection.rows_of(7).between(0, 7).tolist() == list(range(7))


def test_a_descending_range_is_a_set_of_rows_as_any_unsorted_list():
    with pytest.warns(UserWarning, match="not in ascending order"):
        strategy = Streaming(range(9, -1, -3))
    assert strategy.get_indices(range(10)).tolist() == [0, 3, 6, 9]


def test_sorted_rows_are_not_copied():
    indices = np.arange(0, 20, 2)
    assert np.shares_memory(Selection(indices).rows_of(20).listed, indices)


@every_strategy
def test_unsorted_indices_warn_and_give_the_epoch_of_the_sorted_ones(make):
    with pytest.warns(UserWarning, match=r"not in ascending order.*Sort it to silence"):
        unsorted = make([70, 10, 40, 30])
    assert np.array_equal(unsorted.get_indices(range(100), seed=1), make([10, 30, 40, 70]).get_indices(range(100), 1))


@every_strategy
def test_warnings_point_at_the_line_that_gave_the_indices(make):
    with pytest.warns(UserWarning) as caught:  # noqa: PT030 both warnings
        make([5, 5, 1])
    assert [warning.filename for warning in caught] == [__file__] * 2


@every_strategy
def test_a_row_that_is_listed_twice_is_sampled_twice_with_a_warning(make):
    with pytest.warns(UserWarning, match=r"lists 2 rows more than once.*np.unique"):
        strategy = make([3, 3, 3, 8])
    assert strategy.get_len(range(100)) == 4


@every_strategy
@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, -2, 5], ArgumentValueError, r"negative value -2; rows are numbered from 0, never from the end"),
        (range(-3, 4), ArgumentValueError, r"indices=range\(-3, 4\) has negative values"),
        (np.zeros(100, bool), ArgumentValueError, r"mask of length 100 that is False everywhere.* matched no cell"),
        ([0.0, 1.0], ArgumentTypeError, r"dtype float64; give integers, a boolean mask"),
        ([None, 1], ArgumentTypeError, "dtype object, with None among its values; give integers"),
        ([[0, 1], [2, 3]], ArgumentValueError, r"shape \(2, 2\); give a one-dimensional"),
        ([[0, 1], [2]], ArgumentTypeError, r"numpy makes no array.*give integers, a boolean mask"),
        (5, ArgumentValueError, "indices=5 is of type int; give integers"),
        ({1, 2}, ArgumentValueError, r"indices=\{1, 2\} is of type set; give integers"),
    ],
)
def test_indices_that_are_no_rows_are_refused_at_construction(make, indices, error, message):
    with pytest.raises(error, match=message):
        make(indices)


@pytest.mark.parametrize("value", [2**63, 2**64 - 1])
def test_a_row_beyond_int64_is_not_called_negative(value):
    with pytest.raises(ArgumentValueError, match=rf"(?<!-){value}"):
        Streaming(np.array([value], np.uint64)).get_len(range(10))


@every_strategy
@pytest.mark.parametrize("indices", [[4, 100], range(0, 130, 10), np.arange(1, 101)])
def test_a_row_that_the_collection_lacks_is_named(make, indices):
    last = max(indices)
    with pytest.raises(ArgumentValueError, match=rf"row {last} and the collection has 100 rows; .* from 0 to 99"):
        make(indices).get_indices(range(100), seed=0)


@every_strategy
@pytest.mark.parametrize("length", [1, 99, 101])
def test_a_mask_of_another_length_is_refused_with_both_lengths(make, length):
    with pytest.raises(ArgumentValueError, match=rf"mask of length {length} and the collection has 100 rows"):
        make(np.arange(length) % 2 == 0).get_len(range(100))


@every_strategy
def test_the_selection_is_checked_against_each_collection(make):
    strategy = make([0, 50])
    assert strategy.get_len(range(100)) == 2
    with pytest.raises(ArgumentValueError, match=r"row 50 and the collection has 50 rows"):
        strategy.get_len(range(50))


@every_strategy
@pytest.mark.parametrize("indices", [[], range(5, 5), np.empty(0, np.int64), np.array([])])
def test_empty_indices_give_no_samples_with_a_warning(make, indices):
    with pytest.warns(UserWarning, match=r"indices is empty: no row takes part.* condition matched no cell"):
        strategy = make(indices)
    assert strategy.get_len(range(100)) == 0
    assert strategy.get_indices(range(100), seed=0).shape == (0,)
    assert strategy.indices.tolist() == []


@every_strategy
def test_indices_can_be_assigned_between_epochs(make):
    strategy = make(range(10))
    strategy.indices = [50, 60, 70]
    assert set(strategy.get_indices(range(100), seed=0)) <= {50, 60, 70}
    strategy.indices = None
    assert strategy.get_len(range(100)) == 100
    strategy._indices = np.array([80, 90])
    assert set(strategy.get_indices(range(100), seed=0)) <= {80, 90}


ALONG_ANOTHER_AXIS = {
    "numpy.where": np.where(np.arange(100) % 7 == 0),
    "numpy.argwhere": np.argwhere(np.arange(100) % 7 == 0),
    "a mask of one column": (np.arange(100) % 7 == 0)[:, None],
}


@every_strategy
@pytest.mark.parametrize("form", ALONG_ANOTHER_AXIS)
def test_indices_along_another_axis_of_length_1_are_taken(make, form):
    rows = np.unique(make(ALONG_ANOTHER_AXIS[form]).get_indices(range(100), seed=0))
    assert set(rows.tolist()) <= set(range(0, 100, 7))


def test_a_mask_in_a_frame_of_one_column_is_one_of_the_cells_by_name():
    pd = pytest.importorskip("pandas")
    column = pd.DataFrame({"is_train": [True, False, True]}, index=["x", "y", "z"])
    assert Selection(column).names.tolist() == ["x", "z"]


@pytest.mark.parametrize("given", [slice(8), {1: 0}.keys(), "train", (i for i in range(3))])
def test_what_is_no_sequence_is_refused_with_its_type(given):
    with pytest.raises(ArgumentValueError, match=f"is of type {type(given).__name__}; give integers"):
        Streaming(given)


def test_a_mask_with_missing_values_is_refused_with_one_of_them():
    pd = pytest.importorskip("pandas")
    with pytest.raises(ArgumentTypeError, match="with <NA> among its values"):
        Streaming(pd.array([True, None, False], dtype="boolean"))
