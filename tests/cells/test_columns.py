"""Columns of obs, and columns of several files as one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset.cells.columns import Column, joined
from scdataset.errors import CollectionError


@pytest.mark.parametrize("dtype", ["i1", "u8", "f4", "f8", "?", "<i4"])
def test_numbers_stay_as_they_are(dtype):
    values = np.array([0, 1, 1], dtype)
    column = Column.from_values(values)
    assert column.codes.dtype == values.dtype
    np.testing.assert_array_equal(column.codes, values)
    assert column.categories is None


def test_labels_become_codes_and_missing_ones_minus_one():
    column = Column.from_values(pd.Categorical(["b", None, "a", "b"], categories=["b", "a", "unused"], ordered=True))
    assert column.codes.tolist() == [0, -1, 1, 0]
    assert column.categories.tolist() == ["b", "a", "unused"]
    assert column.ordered


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("make", [lambda v: np.array(v, object), lambda v: pd.array(v, dtype="string")])
def test_strings_become_codes_of_their_sorted_values(make, missing):
    column = Column.from_values(make(["b", missing, "a", "b"]))
    assert column.codes.tolist() == [1, -1, 0, 1]
    assert column.categories.tolist() == ["a", "b"]


def test_nullable_numbers_without_missing_ones_keep_their_type():
    assert Column.from_values(pd.array([1, 2], dtype="UInt8")).codes.dtype == np.uint8
    assert Column.from_values(pd.array([True, False], dtype="boolean")).codes.dtype == bool


@pytest.mark.parametrize(
    "values", [pd.array([1, None, 3], dtype="Int32"), pd.array([True, None, False], dtype="boolean")]
)
def test_nullable_numbers_with_missing_ones_become_floats(values):
    column = Column.from_values(values)
    assert column.codes.dtype == np.float64
    np.testing.assert_array_equal(column.codes, [float(values[0]), np.nan, float(values[2])])


def labels_of(column):
    return [None if code < 0 else column.categories[code] for code in column.codes]


parts = st.lists(st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh")), max_size=12), min_size=1, max_size=4)


@given(parts)
def test_joined_columns_have_the_labels_of_their_parts(lists):
    columns = [Column.from_values(pd.Categorical(labels)) for labels in lists]
    column = joined("type", columns, [f"{number}.h5ad" for number in range(len(lists))])
    assert labels_of(column) == [label for labels in lists for label in labels]


def test_files_that_agree_keep_the_order_of_categories():
    columns = [
        Column.from_values(pd.Categorical(labels, categories=["z", "a"], ordered=True))
        for labels in (["a"], ["z", "a"])
    ]
    column = joined("type", columns, ["1", "2"])
    assert column.categories.tolist() == ["z", "a"]
    assert column.codes.tolist() == [1, 0, 1]
    assert column.ordered


def test_files_that_differ_get_all_categories_sorted_and_without_an_order():
    columns = [Column.from_values(pd.Categorical(labels, ordered=True)) for labels in (["d", "b"], ["c", "b"])]
    column = joined("type", columns, ["1", "2"])
    assert column.categories.tolist() == ["b", "c", "d"]
    assert labels_of(column) == ["d", "b", "c", "b"]
    assert not column.ordered


def test_categories_that_are_numbers_are_united_as_numbers():
    columns = [Column.from_values(pd.Categorical(labels)) for labels in ([10, 2], [3, 2])]
    column = joined("leiden", columns, ["1", "2"])
    assert column.categories.tolist() == [2, 3, 10]
    assert labels_of(column) == [10, 2, 3, 2]


def test_categories_of_both_numbers_and_strings_are_kept_apart():
    columns = [Column.from_values(pd.Categorical(labels)) for labels in ([1, 2], ["1", "x"])]
    assert labels_of(joined("leiden", columns, ["1", "2"])) == [1, 2, "1", "x"]


@pytest.mark.parametrize("n", [127, 128, 129, 300, 40_000])
def test_codes_are_wide_enough_for_all_categories(n):
    labels = [f"{number:06}" for number in range(n)]
    columns = [Column.from_values(pd.Categorical(part)) for part in (labels[: n // 2], labels[n // 2 :])]
    column = joined("gene", columns, ["1", "2"])
    assert labels_of(column) == labels
    assert column.codes.min() == 0


def test_a_file_without_any_label_joins():
    columns = [Column.from_values(pd.Categorical(labels)) for labels in ([None, None], ["a"])]
    assert labels_of(joined("type", columns, ["1", "2"])) == [None, None, "a"]


def test_numbers_are_joined_as_numpy_does():
    column = joined("n", [Column(np.array([1, 2], np.int32)), Column(np.array([0.5]))], ["1", "2"])
    np.testing.assert_array_equal(column.codes, [1, 2, 0.5])


def test_numbers_and_labels_do_not_join():
    columns = [Column.from_values(pd.Categorical(["a"])), Column(np.array([1])), None]
    with pytest.raises(CollectionError) as caught:
        joined("type", columns, ["one.h5ad", "two.h5ad", "three.h5ad"])
    assert "obs['type'] is not alike in 2 of 3 files: two.h5ad has numbers, and others have labels; three" in str(
        caught.value
    )
    assert 'missing_obs="fill"' in str(caught.value)


def test_what_a_file_lacks_is_missing_where_that_is_asked_for():
    labels = [None, Column.from_values(pd.Categorical(["b", "a"])), Column(np.array([1]))]
    column = joined("type", labels, ["1", "2", "3"], [2, 2, 1], fill=True)
    assert labels_of(column) == [None, None, "b", "a", None]
    numbers = [Column(np.array([1, 2], np.int8)), None]
    np.testing.assert_array_equal(joined("n", numbers, ["1", "2"], [2, 1], fill=True).codes, [1, 2, np.nan])


@given(st.permutations(range(4)))
def test_categories_do_not_depend_on_the_order_of_files(order):
    columns = [Column.from_values(pd.Categorical(labels)) for labels in (["d", "b"], ["c", "b"], ["a"], [None])]
    column = joined("type", [columns[number] for number in order], list("0123"))
    assert column.categories.tolist() == ["a", "b", "c", "d"]


def test_numbers_get_the_byte_order_of_this_machine():
    column = Column.from_values(np.array([1, 2], ">i2"))
    assert column.codes.dtype == np.dtype("int16")
    assert column.codes.tolist() == [1, 2]


def test_categories_of_booleans_among_numbers_are_0_and_1():
    numbers = Column.from_values(pd.Categorical([0, 2, 1]))
    flags = Column.from_values(pd.Categorical([True, None, False]))
    for order in ([numbers, flags], [flags, numbers]):
        both = joined("x", order, ["a", "b"])
        assert both.categories.tolist() == [0, 1, 2]
        assert sorted(both.codes.tolist()) == [-1, 0, 0, 1, 1, 2]
