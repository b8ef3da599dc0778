"""Diversity: the closed form equals what batches have, and where it does not hold the order is simulated."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import xlogy

from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling, scDataset
from scdataset.insight import diversity

PLATES = np.arange(14 * 8192) * 14 // (14 * 8192)
UNEVEN = np.repeat(np.arange(5), [60_000, 25_000, 10_000, 4_000, 1_000])
RUNS = np.repeat(np.random.default_rng(0).integers(0, 8, 2500), 40)


def measured(labels, block_size, fetch_factor, batch_size):
    """Return the mean entropy of the labels in the batches of some epochs, in bits."""
    dataset = scDataset(labels, BlockShuffling(block_size), batch_size, fetch_factor, drop_last=True, seed=1)
    counts = np.array([np.bincount(batch, minlength=labels.max() + 1) for _ in range(5) for batch in dataset])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return -np.sum(shares * np.log2(np.where(shares, shares, 1)), axis=1).mean()


@pytest.mark.parametrize(
    ("labels", "block_size", "fetch_factor", "batch_size"),
    [
        (PLATES, 1, 16, 64),
        (PLATES, 16, 16, 64),
        (PLATES, 32, 16, 64),
        (PLATES, 64, 32, 64),
        (UNEVEN, 16, 16, 128),
        (UNEVEN, 8, 8, 16),
        (RUNS, 100, 64, 128),  # blocks hold several runs, so that their rows have less in common
        (RUNS, 32, 32, 256),
    ],
)
def test_the_closed_form_is_within_two_hundredths_of_a_bit_of_batches(labels, block_size, fetch_factor, batch_size):
    expected = diversity(labels, block_size, fetch_factor, batch_size)
    assert expected.method == "closed form"
    assert expected.entropy == pytest.approx(measured(labels, block_size, fetch_factor, batch_size), abs=0.02)


@pytest.mark.parametrize(
    ("block_size", "fetch_factor", "batch_size"),
    [(256, 4, 64), (128, 16, 64), (4, 1, 64), (16, 512, 64)],
    ids=["a block fills a window", "D > 4", "windows of one batch", "few windows"],
)
def test_the_order_is_simulated_where_the_closed_form_does_not_hold(block_size, fetch_factor, batch_size):
    expected = diversity(PLATES, block_size, fetch_factor, batch_size)
    assert expected.method == "simulation"
    assert expected.dependence is None
    assert expected.entropy == pytest.approx(measured(PLATES, block_size, fetch_factor, batch_size), abs=0.05)


def test_it_agrees_with_the_formula_of_first_order():
    groups, batch, block, factor = 14, 1024, 16, 16
    found = diversity(np.repeat(np.arange(groups), 20_000), block, factor, batch)
    unit = (groups - 1) / (2 * batch * np.log(2))
    assert found.dependence == pytest.approx(1 + (batch - 1) * (block - 1) / (factor * batch - 1))
    assert found.entropy == pytest.approx(np.log2(groups) - found.dependence * unit, abs=1e-3)


def test_neighbours_that_have_nothing_in_common_are_as_random_as_true_random_order():
    labels = np.random.default_rng(0).integers(0, 30, 100_000)
    found = diversity(labels, 64, 64, 64)
    assert found.dependence == pytest.approx(1, abs=0.01)
    assert found.share == pytest.approx(1, abs=1e-3)


def test_true_random_order_of_few_rows_is_drawn_without_replacement():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    rng = np.random.default_rng(0)
    for batch_size in (100, 70, 1000):
        size = min(batch_size, 100)
        draws = rng.multivariate_hypergeometric([60, 30, 10], size, 20_000) / size
        drawn = -np.sum(xlogy(draws, draws), axis=1).mean() / np.log(2)
        found = diversity(labels, 16, 4, batch_size)
        assert found.random == pytest.approx(drawn, abs=0.002)
        assert found.random <= found.whole
    assert found.random == pytest.approx(found.whole)
    assert found.share == pytest.approx(1)


def test_true_random_order_is_that_of_independent_draws():
    shares = np.array([0.5, 0.3, 0.2])
    found = diversity(np.repeat(np.arange(3), (shares * 10_000).astype(int)), 1, 16, 8)
    draws = np.random.default_rng(0).multinomial(8, shares, 200_000) / 8
    drawn = -np.sum(draws * np.log2(np.where(draws > 0, draws, 1)), axis=1).mean()
    assert found.random == found.entropy == pytest.approx(drawn, abs=0.005)
    assert found.whole == pytest.approx(-np.sum(shares * np.log2(shares)))


@pytest.mark.parametrize(
    "labels",
    [
        ["a"] * 300 + ["b"] * 200 + [None] * 100,
        pd.Categorical(["a"] * 300 + ["b"] * 200 + [None] * 100, categories=["unused", "b", "a"]),
        pd.Series([7] * 300 + [9] * 300 + [10] * 200),
    ],
)
def test_labels_may_be_missing_unused_or_numbers(labels):
    assert diversity(labels, 4, 4, 10).n_classes == 3


@pytest.mark.parametrize("n_rows", [1, 5, 40])
def test_few_rows_and_one_class_have_nothing_to_mix(n_rows):
    found = diversity(np.zeros(n_rows, int), 4, 4, 16)
    assert (found.entropy, found.random, found.share) == (0, 0, 1)


def test_many_classes_and_rare_ones_are_counted():
    labels = np.arange(50_000) % 5_000
    found = diversity(labels, 1, 16, 64)
    assert 5.9 < found.random <= 6
    assert found.whole == pytest.approx(np.log2(5_000))


def test_it_prints_and_becomes_a_dict():
    found = diversity(PLATES, 16, 64, 64)
    assert "bits a batch" in str(found)
    assert found.as_dict()["share"] == found.share
    assert "_codes" not in repr(found)


class Cells:
    shape = 3, 2

    def __len__(self):
        return 3

    def __getitem__(self, row):
        message = "iterated before its shape was looked at"
        raise AssertionError(message)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((PLATES, 0, 16, 64), ArgumentValueError, "block_size=0"),
        ((PLATES, 16, 0, 64), ArgumentValueError, "fetch_factor=0"),
        ((PLATES, 16, 16, 2.5), ArgumentTypeError, "batch_size=2.5"),
        (([], 16, 16, 64), ArgumentValueError, "labels"),
        ((np.zeros((3, 2)), 16, 16, 64), ArgumentValueError, r"labels, of type ndarray, has shape \(3, 2\)"),
        ((Cells(), 16, 16, 64), ArgumentValueError, r"labels, of type Cells, has shape \(3, 2\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        diversity(*arguments)


def test_the_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    figure = diversity(PLATES, 16, 64, 64).plot(tmp_path / "diversity.png", block_sizes=(1, 16, 256))
    assert (tmp_path / "diversity.png").stat().st_size > 5_000
    assert figure.axes[0].get_xlabel() == "block_size"
