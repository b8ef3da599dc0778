"""Masks, labels, weights and cells told by name are found in the collection, or refused."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from scdataset import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, GroupedSampling, Streaming
from scdataset.errors import ArgumentValueError
from scdataset.strategy.names import names_of

pd = pytest.importorskip("pandas")
NAMES = [f"cell{k}" for k in range(12)]
CLASSES = np.array(list("aaaabbbbccca"))
ORDERS = {
    "as they are": np.arange(12),
    "reversed": np.arange(12)[::-1],
    "shuffled": np.random.default_rng(0).permutation(12),
}


class Cells:
    """A collection with names of cells."""

    def __init__(self, names=NAMES, obs_index=None):
        self.obs_names = pd.Index(names)
        self.obs = SimpleNamespace(index=self.obs_names if obs_index is None else obs_index)

    def __len__(self):
        return len(self.obs_names)


def _series(values, order=ORDERS["shuffled"], names=NAMES):
    return pd.Series(np.asarray(values)[order], index=np.array(names)[order])


def _categories(values, order=ORDERS["shuffled"]):
    """Return labels whose codes are the same in any order."""
    return _series(values, order).astype("category")


COLLECTIONS = {
    "cells": Cells,
    "frame": lambda: pd.DataFrame({"x": range(12)}, index=NAMES),
    "frame without columns": lambda: pd.DataFrame(index=NAMES),
}
in_any_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)


@in_any_order
@pytest.mark.parametrize("make", COLLECTIONS.values(), ids=COLLECTIONS)
def test_a_boolean_series_selects_cells_by_name(make, order):
    mask = _series(CLASSES == "a", order)
    for kind in (Streaming, BlockShuffling, BlockWeightedSampling):
        strategy = kind(indices=mask)
        rows = strategy.get_indices(make(), seed=0)
        assert set(rows) <= {0, 1, 2, 3, 11}
        assert strategy.indices.tolist() == [0, 1, 2, 3, 11]
        assert strategy.get_len(make()) == 5


@in_any_order
def test_labels_and_weights_follow_their_names(order):
    cells = Cells()
    balanced = ClassBalancedSampling(_series(CLASSES, order), total_size=500)
    assert np.array_equal(
        balanced.get_indices(cells, seed=3), ClassBalancedSampling(CLASSES, total_size=500).get_indices(cells, seed=3)
    )
    weights = np.arange(12.0)
    assert np.array_equal(
        BlockWeightedSampling(weights=_series(weights, order)).get_indices(cells, seed=3),
        BlockWeightedSampling(weights=weights).get_indices(cells, seed=3),
    )


@in_any_order
def test_labels_of_indices_follow_their_names(order):
    indices = np.array([1, 3, 6, 7, 11])
    kept = [k for k in order if k in indices]
    labels = pd.Series(CLASSES[kept], index=np.array(NAMES)[kept])
    strategy = ClassBalancedSampling(labels, indices=indices, total_size=500)
    expected = ClassBalancedSampling(CLASSES[indices], indices=indices, total_size=500)
    assert np.array_equal(strategy.get_indices(Cells(), seed=3), expected.get_indices(Cells(), seed=3))


@in_any_order
@pytest.mark.parametrize("as_frame", [True, False])
def test_groups_and_matches_follow_their_names(order, as_frame):
    match = np.array(list("xyxyxyxyxyxy"))
    options = {"set_size": 2, "control": "a", "n_controls": 1}
    groups, columns = _categories(CLASSES, order), _categories(match, order)
    strategy = GroupedSampling(groups, match=columns.to_frame("m") if as_frame else columns, **options)
    expected = GroupedSampling(pd.Categorical(CLASSES), match=pd.Categorical(match), **options)
    assert strategy.n_sets == expected.n_sets
    assert np.array_equal(strategy.get_indices(Cells(), seed=3), expected.get_indices(Cells(), seed=3))


def test_groups_and_matches_in_orders_of_their_own_wait_for_the_collection():
    match = np.array(list("xyxyxyxyxyxx"))
    strategy = GroupedSampling(
        _categories(CLASSES),
        set_size=2,
        control="a",
        match=_categories(match, ORDERS["reversed"]),
        indices=np.arange(1, 12),
    )
    groups, strata = pd.Categorical(CLASSES), pd.Categorical(match)
    expected = GroupedSampling(groups, set_size=2, control="a", match=strata, indices=np.arange(1, 12))
    assert np.array_equal(strategy.get_indices(Cells(), seed=3), expected.get_indices(Cells(), seed=3))
    assert strategy.n_sets == expected.n_sets


def test_cells_are_selected_by_name():
    for names in (
        ["cell7", "cell2", "cell9"],
        np.array(["cell2", "cell7", "cell9"]),
        pd.Index(["cell2", "cell7", "cell9"]),
    ):
        strategy = Streaming(indices=names)
        assert strategy.get_indices(Cells()).tolist() == [2, 7, 9]
    weighted = BlockWeightedSampling(indices=["cell7", "cell2"], weights=[1.0, 0.0])
    assert set(weighted.get_indices(Cells(), seed=0)) == {7}


def test_names_are_looked_up_in_each_collection():
    strategy = Streaming(indices=["cell7", "cell2"])
    assert strategy.get_indices(Cells()).tolist() == [2, 7]
    assert strategy.get_indices(Cells(NAMES[::-1])).tolist() == [4, 9]
    assert strategy.get_indices(Cells()).tolist() == [2, 7]


@pytest.mark.parametrize("index", [None, pd.RangeIndex(12), list(range(12))], ids=["default", "range", "integers"])
def test_a_series_with_the_default_index_goes_by_position(index):
    strategy = Streaming(indices=pd.Series(CLASSES == "a", index=index))
    assert strategy.get_indices(np.zeros(12)).tolist() == [0, 1, 2, 3, 11]
    weights = pd.Series(np.eye(12)[5], index=index)
    assert set(BlockWeightedSampling(weights=weights).get_indices(Cells(), seed=0)) == {5}


def test_row_numbers_in_a_series_are_row_numbers_whatever_their_index():
    assert Streaming(indices=pd.Series([2, 5], index=["cell9", "cell0"])).get_indices(Cells()).tolist() == [2, 5]


def test_a_part_of_a_numbered_obs_keeps_its_row_numbers():
    numbered = Cells(obs_index=pd.RangeIndex(12))
    labels = pd.Series(CLASSES)[[1, 6, 3]]
    strategy = ClassBalancedSampling(labels, indices=[1, 3, 6], total_size=100)
    expected = ClassBalancedSampling(CLASSES[[1, 3, 6]], indices=[1, 3, 6], total_size=100)
    assert np.array_equal(strategy.get_indices(numbered, seed=0), expected.get_indices(numbered, seed=0))
    assert Streaming(indices=_series(CLASSES == "a")).get_indices(numbered).tolist() == [0, 1, 2, 3, 11]


NAMED = {
    "mask": lambda names: Streaming(indices=_series(CLASSES == "a", names=names)),
    "weights": lambda names: BlockWeightedSampling(weights=_series(np.ones(12), names=names)),
    "labels": lambda names: ClassBalancedSampling(_series(CLASSES, names=names)),
    "groups": lambda names: GroupedSampling(_series(CLASSES, names=names), set_size=2),
    "match": lambda names: GroupedSampling(CLASSES, 2, control="a", match=_series(["x"] * 12, names=names)),
    "names": lambda names: Streaming(indices=np.array(names)),
}


@pytest.mark.parametrize("make", NAMED.values(), ids=NAMED)
def test_names_are_refused_where_the_collection_has_none_or_others(make):
    with pytest.raises(ArgumentValueError, match=r"goes by names \('cell.* of type ndarray, has none; .*to_numpy\(\)"):
        make(NAMES).get_len(np.zeros(12))
    with pytest.raises(ArgumentValueError, match=r"12 names are not in the collection|5 names are not in the coll"):
        make([f"other{k}" for k in range(12)]).get_len(Cells())
    with pytest.raises(ArgumentValueError, match=r"by names"):
        make(NAMES).order(12, 0, 0)


@pytest.mark.parametrize("make", [NAMED["weights"], NAMED["groups"], NAMED["match"], NAMED["names"]])
def test_names_that_several_cells_have_are_refused(make):
    with pytest.raises(ArgumentValueError, match=r"several rows of the same name, such as 'cell3'"):
        make(NAMES).get_len(Cells([*NAMES, "cell3"]))


def test_names_that_repeat_in_the_same_order_on_both_sides_are_fine():
    repeated = ["cell"] * 12
    assert Streaming(indices=_series(CLASSES == "a", np.arange(12), NAMES)).get_len(Cells()) == 5
    strategy = ClassBalancedSampling(_series(CLASSES, np.arange(12), repeated), total_size=9)
    assert strategy.get_len(Cells(repeated)) == 9


def test_a_mask_by_name_has_an_entry_for_every_row():
    with pytest.raises(ArgumentValueError, match=r"mask of length 3 and the collection has 12 rows"):
        Streaming(indices=pd.Series([True, False, True], index=NAMES[:3])).get_len(Cells())


def test_a_selected_row_without_a_value_is_refused():
    labels = pd.Series(CLASSES[:11], index=NAMES[:11])
    with pytest.raises(ArgumentValueError, match=r"labels has no value for 1 of 12 selected rows, such as row 11"):
        ClassBalancedSampling(labels).get_len(Cells())


def test_names_are_not_read_unless_something_goes_by_them():
    class Guarded(Cells):
        obs_names = property(lambda self: pytest.fail("names were read"))
        obs = obs_names

        def __init__(self):
            pass

        def __len__(self):
            return 12

    ClassBalancedSampling(pd.Series(CLASSES), indices=np.arange(12)).get_indices(Guarded(), seed=0)
    GroupedSampling(CLASSES, set_size=2).get_indices(Guarded(), seed=0)


def test_a_strategy_by_names_pickles_and_tells_itself_from_others():
    import pickle

    strategy = ClassBalancedSampling(_series(CLASSES), total_size=50)
    rows = strategy.get_indices(Cells(), seed=1)
    again = pickle.loads(pickle.dumps(strategy))
    assert np.array_equal(again.get_indices(Cells(), seed=1), rows)
    other = ClassBalancedSampling(pd.Series(CLASSES, index=NAMES), total_size=50)
    other.get_len(Cells())
    assert other.fingerprint() != strategy.fingerprint()


@pytest.mark.parametrize("values", [[1, 2], (1, 2), np.ones(2), "ab", range(2), None])
def test_only_what_has_an_index_has_names(values):
    assert names_of(values) is None


def test_the_default_index_is_not_made_an_array():
    labels = pd.Series(pd.Categorical(["a", "b"]).repeat(200_000))
    tracemalloc.start()
    strategy = ClassBalancedSampling(labels, 8)
    strategy.order(labels.size, 0, 0).rows(0, 64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * labels.size
