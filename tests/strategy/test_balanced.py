"""ClassBalancedSampling: every class equally likely, over the collection or within the indices."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples, rare

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy import BlockWeightedSampling, ClassBalancedSampling

FALSE_ALARM = 1e-4
"""Chance of another, equally good generator to fail one check; with the fixed seeds here the answer never changes."""

UNEQUAL = np.repeat(["rare", "common", "usual"], [30, 900, 270])
FORMS = {
    "strings": lambda: UNEQUAL,
    "list": UNEQUAL.tolist,
    "objects": lambda: UNEQUAL.astype(object),
    "categories": lambda: pytest.importorskip("pandas").Categorical(UNEQUAL, ["usual", "absent", "rare", "common"]),
    "int8": lambda: (np.unique(UNEQUAL, return_inverse=True)[1] - 120).astype(np.int8),
    "uint16": lambda: (np.unique(UNEQUAL, return_inverse=True)[1] * 3 + 40_000).astype(np.uint16),
    "int64": lambda: np.unique(UNEQUAL, return_inverse=True)[1] * 10**12 - 5,
    "floats": lambda: np.unique(UNEQUAL, return_inverse=True)[1] * 4.0,
}
RARE_FORMS = ("int8", "uint16")


@pytest.mark.parametrize("form", [*(form for form in FORMS if form not in RARE_FORMS), *rare(*RARE_FORMS)])
@pytest.mark.parametrize("seed", range(2))
def test_classes_are_equally_likely_and_rows_within_them(form, seed):
    rows = ClassBalancedSampling(FORMS[form](), total_size=30_000).get_indices(range(1200), seed=seed)
    shares = 1 / 3 / np.array([{"rare": 30, "common": 900, "usual": 270}[label] for label in UNEQUAL])
    assert stats.chisquare(np.unique(UNEQUAL[rows], return_counts=True)[1]).pvalue > FALSE_ALARM
    assert stats.chisquare(np.bincount(rows, minlength=1200), shares * 30_000).pvalue > FALSE_ALARM


def test_two_classes_of_booleans_are_equally_likely():
    labels = np.arange(100) < 5
    rows = ClassBalancedSampling(labels, total_size=20_000).get_indices(range(100), seed=0)
    assert stats.binomtest(np.count_nonzero(labels[rows]), 20_000).pvalue > FALSE_ALARM


@pytest.mark.slow  # compiles all anew for such codes
def test_a_hundred_thousand_classes_are_equally_likely():
    labels = np.arange(150_000) % 100_000
    rows = ClassBalancedSampling(labels, total_size=100_000).get_indices(range(150_000), seed=0)
    in_pairs = np.count_nonzero(labels[rows] < 50_000)  # classes of two rows, as likely as those of one
    assert stats.binomtest(in_pairs, 100_000).pvalue > FALSE_ALARM


@settings(deadline=None, max_examples=examples(60))
@given(labels=st.lists(st.sampled_from("abcd"), min_size=1, max_size=80), seed=st.integers(0, 1000))
def test_an_epoch_is_that_of_weights_of_one_over_the_class_size(labels, seed):
    sizes = {label: labels.count(label) for label in labels}
    weighted = BlockWeightedSampling(4, None, [1 / sizes[label] for label in labels], 100)
    balanced = ClassBalancedSampling(labels, 4, None, 100)
    n = len(labels)
    assert np.array_equal(balanced.get_indices(range(n), seed=seed), weighted.get_indices(range(n), seed=seed))
    assert np.array_equal(balanced.weights, weighted.weights)
    assert balanced.labels.tolist() == labels


def test_classes_are_balanced_over_what_is_drawn_from_whatever_labels_belong_to():
    labels = np.repeat(["T", "B", "NK"], [90, 10, 50])
    indices = np.arange(45, 91)
    of_collection = ClassBalancedSampling(labels, 8, indices, 20_000).get_indices(range(150), seed=0)
    assert stats.binomtest(np.count_nonzero(of_collection == 90), 20_000, 0.5).pvalue > FALSE_ALARM
    of_indices = ClassBalancedSampling(labels[indices], 8, indices, 20_000).get_indices(range(150), seed=0)
    assert np.array_equal(of_collection, of_indices)


def test_a_strategy_that_balances_over_indices_has_a_fingerprint_of_its_own():
    labels = np.repeat(["T", "B"], [90, 10])
    part = ClassBalancedSampling(labels, indices=range(50, 100)).fingerprint()
    assert part != ClassBalancedSampling(labels[50:], indices=range(50, 100)).fingerprint()


def test_balancing_over_the_collection_is_given_as_weights():
    labels = np.repeat(["T", "B"], [90, 10])
    weights = ClassBalancedSampling(labels).weights
    rows = BlockWeightedSampling(8, range(45, 91), weights, 20_000).get_indices(range(100), seed=0)
    expected = (1 / 10) / (45 / 90 + 1 / 10)
    assert stats.binomtest(np.count_nonzero(rows == 90), 20_000, expected).pvalue > FALSE_ALARM


def test_labels_and_weights_can_be_assigned_between_epochs():
    strategy = ClassBalancedSampling(["a"] * 9 + ["b"], total_size=1000)
    strategy.labels = ["a"] * 5 + ["b"] * 5
    assert strategy.weights.tolist() == [0.1] * 10
    assert abs(np.mean(strategy.get_indices(range(10), seed=0) < 5) - 0.5) < 0.1
    strategy.weights = np.eye(10)[3]
    assert set(strategy.get_indices(range(10), seed=0)) == {3}
    assert strategy.labels.tolist() == ["a"] * 5 + ["b"] * 5


def test_floats_are_classes_and_nan_is_never_drawn():
    labels = np.array([0.0, 1.0, np.nan, 1.0])
    with pytest.warns(UserWarning, match=r"labels has 1 missing value \(NaN\) among 4: rows without a label"):
        strategy = ClassBalancedSampling(labels, total_size=400)
    assert strategy.weights.tolist() == [0.5, 0.25, 0, 0.25]
    rows = strategy.get_indices(range(4), seed=0)
    assert set(rows) == {0, 1, 3}
    assert abs(np.mean(rows == 0) - 0.5) < 0.1
    assert strategy.labels.tolist() == [0, 1, None, 1]


@pytest.mark.parametrize("labels", [["a", None, "b", "a"], np.array([0.0, np.nan, 1.0, 0.0])])
def test_rows_that_are_not_drawn_from_need_no_label(labels):
    strategy = ClassBalancedSampling(labels, indices=[0, 2, 3], total_size=200)
    rows = strategy.get_indices(range(4), seed=0)
    assert set(rows) == {0, 2, 3}
    assert abs(np.mean(rows == 2) - 0.5) < 0.15


def test_a_missing_label_among_the_indices_is_refused():
    strategy = ClassBalancedSampling(["a", None, "b", "a"], indices=[0, 1])
    with pytest.raises(ArgumentValueError, match="labels has 1 missing values among 2"):
        strategy.get_len(range(4))


def test_fractional_labels_warn_since_each_is_a_class():
    with pytest.warns(UserWarning, match=r"labels has fractional numbers \(0.25, 0.5, 1.0, ...\), and each of the 3"):
        ClassBalancedSampling(np.array([0.5, 0.25, 1.0]))


def test_fewer_labels_than_indices_are_refused_at_construction():
    with pytest.raises(ValueError, match=r"labels has length 2 and indices selects 5 rows"):
        ClassBalancedSampling(["a", "b"], indices=range(5))


def test_labels_of_the_indices_balance_within_the_indices():
    labels = np.repeat(["T", "B"], [45, 1])
    rows = ClassBalancedSampling(labels, 8, range(45, 91), 20_000).get_indices(range(100), seed=0)
    assert stats.binomtest(np.count_nonzero(rows == 90), 20_000, 0.5).pvalue > FALSE_ALARM


@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
@pytest.mark.parametrize("form", ["list", "array", "pandas", *rare("int8")])
def test_a_label_per_index_follows_its_index_also_where_indices_are_not_sorted(form):
    labels = ["rare", "common", "common", "common"]
    forms = {
        "list": lambda: labels,
        "array": lambda: np.array(labels),
        "int8": lambda: np.array([0, 1, 1, 1], np.int8),
        "pandas": lambda: pytest.importorskip("pandas").Categorical(labels),
    }
    strategy = ClassBalancedSampling(forms[form](), 4, [30, 10, 20, 15], 10_000)
    rows = strategy.get_indices(range(100), seed=0)
    assert stats.binomtest(np.count_nonzero(rows == 30), 10_000, 0.5).pvalue > FALSE_ALARM


@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
def test_aligned_to_decides_where_both_lengths_fit():
    labels, indices = ["a", "b", "b"], [2, 1, 0]
    for aligned_to, row in [("collection", 0), ("auto", 0), ("indices", 2)]:
        rows = ClassBalancedSampling(labels, 4, indices, 10_000, aligned_to=aligned_to).get_indices(range(3), seed=0)
        assert stats.binomtest(np.count_nonzero(rows == row), 10_000, 0.5).pvalue > FALSE_ALARM


def test_labels_of_another_length_are_refused_with_all_lengths():
    strategy = ClassBalancedSampling(["a"] * 7, 4, [1, 2, 3])
    with pytest.raises(ArgumentValueError, match=r"labels has length 7; .*\(100\).*\(3\)"):
        strategy.get_len(range(100))


def test_small_labels_are_not_copied_and_nothing_else_a_row_is_kept():
    labels = (np.arange(10_000) % 5).astype(np.int8)
    strategy = ClassBalancedSampling(labels)
    strategy.get_indices(range(10_000), seed=0)
    assert np.shares_memory(strategy._values, labels)
    assert len(pickle.dumps(strategy)) < 12_000


def test_rounds_without_replacement_are_balanced_too():
    labels = np.repeat(["T", "B"], [90, 10])
    strategy = ClassBalancedSampling(labels, 1, None, 5000, replace=False, sampling_size=1)
    rows = strategy.get_indices(range(100), seed=0)
    assert stats.binomtest(np.count_nonzero(rows >= 90), 5000, 0.5).pvalue > FALSE_ALARM


def test_weights_are_shares_of_one_in_which_classes_are_alike():
    weights = ClassBalancedSampling(UNEQUAL).weights
    assert weights.shape == (1200,)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx(1 / 90)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (["a", None], ArgumentValueError, "1 missing values among 2"),
        ([], ArgumentValueError, "labels is empty"),
        ([["a"]], ArgumentTypeError, "cannot be compared"),
    ],
)
def test_bad_labels_are_refused_at_construction(labels, error, message):
    with pytest.raises(error, match=message):
        ClassBalancedSampling(labels)


@pytest.mark.parametrize("labels", [np.array([True, False]), np.array(["a", "b"]), np.array([2.0, 1.0]), ["a", "b"]])
def test_labels_are_shown_as_they_were_given(labels):
    shown = ClassBalancedSampling(labels).labels
    assert [type(label) for label in shown.tolist()] == [type(label) for label in np.asarray(labels).tolist()]
    assert shown.tolist() == np.asarray(labels).tolist()
