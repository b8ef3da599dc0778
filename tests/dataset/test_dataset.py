"""The loop over one process: coverage, content, length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    SamplingStrategy,
    Streaming,
    scDataset,
)

SIZES = st.tuples(st.integers(1, 300), st.integers(1, 40), st.integers(1, 9), st.booleans())
SEEDS = st.integers(0, 2**64 - 1)


def rows_of(dataset):
    return [batch.tolist() for batch in dataset]


@given(SIZES, st.integers(1, 50), SEEDS)
def test_every_row_comes_once(sizes, block_size, seed):
    n, batch_size, fetch_factor, drop_last = sizes
    dataset = scDataset(np.arange(n), BlockShuffling(block_size), batch_size, fetch_factor, drop_last, seed=seed)
    batches = rows_of(dataset)
    rows = np.concatenate([[], *batches])
    assert len(batches) == len(dataset) == (n // batch_size if drop_last else -(-n // batch_size))
    assert len(set(rows)) == len(rows) == (n - n % batch_size if drop_last else n)


@given(SIZES, st.booleans(), SEEDS)
def test_streaming_comes_in_order_and_its_shuffle_stays_in_the_window(sizes, shuffle, seed):
    n, batch_size, fetch_factor, drop_last = sizes
    dataset = scDataset(np.arange(n), Streaming(shuffle=shuffle), batch_size, fetch_factor, drop_last, seed=seed)
    rows = np.concatenate([[], *rows_of(dataset)])
    if shuffle:
        assert np.array_equal(rows // dataset.fetch_size, np.arange(len(rows)) // dataset.fetch_size)
    else:
        assert np.array_equal(rows, np.arange(len(rows)))


@given(SIZES, st.integers(1, 500), SEEDS)
def test_weighted_epochs_have_total_size_draws_and_no_row_without_weight(sizes, total_size, seed):
    n, batch_size, fetch_factor, drop_last = sizes
    weights = np.arange(n) % 3
    weights[0] = 1
    strategy = BlockWeightedSampling(4, weights=weights, total_size=total_size)
    dataset = scDataset(np.arange(n), strategy, batch_size, fetch_factor, drop_last, seed=seed)
    rows = np.concatenate([np.empty(0, int), *rows_of(dataset)])
    assert len(rows) == (total_size - total_size % batch_size if drop_last else total_size)
    assert np.all(weights[rows] > 0)


@given(SIZES, SEEDS)
def test_drop_last_changes_nothing_but_the_last_batch(sizes, seed):
    n, batch_size, fetch_factor, _ = sizes
    kept, dropped = (
        rows_of(scDataset(np.arange(n), BlockShuffling(3), batch_size, fetch_factor, drop_last, seed=seed))
        for drop_last in (False, True)
    )
    assert dropped == [batch for batch in kept if len(batch) == batch_size]


@given(SIZES, st.integers(1, 9), SEEDS)
def test_ranks_share_out_the_batches_that_one_process_has(sizes, world_size, seed):
    n, batch_size, fetch_factor, drop_last = sizes
    arguments = (np.arange(n), BlockShuffling(3), batch_size, fetch_factor, drop_last)
    alone = {tuple(batch) for batch in rows_of(scDataset(*arguments, seed=seed))}
    ranks = [scDataset(*arguments, rank=r, world_size=world_size, seed=seed) for r in range(world_size)]
    shared = [[tuple(batch) for batch in rows_of(rank)] for rank in ranks]
    assert {len(batches) for batches in shared} == {len(ranks[0])}
    assert set().union(*shared) <= alone
    assert drop_last or set().union(*shared) == alone


def test_uneven_ranks_repeat_nothing():
    ranks = [
        scDataset(np.arange(100), Streaming(), 8, 2, rank=rank, world_size=3, seed=0, uneven_ranks=True)
        for rank in range(3)
    ]
    rows = sorted(row for rank in ranks for batch in rank for row in batch.tolist())
    assert rows == list(range(100))
    assert [len(rank) for rank in ranks] == [5, 4, 4]


def test_attributes_are_those_that_users_read():
    data, strategy = np.arange(10), Streaming()
    dataset = scDataset(data, strategy, batch_size=2, fetch_factor=3, drop_last=True, seed=5)
    assert dataset.collection is data
    assert dataset.strategy is strategy
    assert (dataset.batch_size, dataset.fetch_factor, dataset.fetch_size, dataset.drop_last) == (2, 3, 6, True)
    assert (dataset.rank, dataset.world_size, dataset.seed) == (0, 1, 5)
    assert repr(dataset) == (
        "scDataset(ndarray of 10 rows, Streaming(indices=None, shuffle=False), batch_size=2, fetch_factor=3, "
        "drop_last=True, rank=0, world_size=1, seed=5)"
    )


def test_fetch_factor_is_16_unless_given():
    assert scDataset(np.arange(10), Streaming(), 2).fetch_factor == 16


def test_the_window_is_shuffled_as_well_as_the_blocks():
    rows = np.concatenate(rows_of(scDataset(np.arange(4096), BlockShuffling(64), 64, 16, seed=0)))
    followers = np.count_nonzero(np.diff(rows) == 1)
    assert followers < 20  # 4 expected of a random order, 4032 without the shuffle inside windows


def test_windows_of_one_epoch_are_shuffled_differently():
    rows = np.concatenate(rows_of(scDataset(np.arange(1024), Streaming(shuffle=True), 64, 4, seed=0)))
    first, *others = (rows.reshape(4, 256) - 256 * np.arange(4)[:, None]).tolist()
    assert all(other != first for other in others)


def test_batches_stay_valid_while_anyone_holds_them():
    data = np.arange(1000.0)
    dataset = scDataset(data, BlockShuffling(4), 7, 3, seed=0)
    batches = list(dataset)
    copies = [batch.copy() for batch in batches]
    for batch in batches:
        np.add(batch, 1.0, out=batch)
    dataset.set_epoch(0)
    assert all(np.array_equal(batch, copy) for batch, copy in zip(dataset, copies, strict=True))
    assert np.array_equal(data, np.arange(1000.0))


def test_an_empty_collection_has_no_batches():
    for strategy in (Streaming(), BlockShuffling()):
        dataset = scDataset(np.empty((0, 3)), strategy, batch_size=4)
        assert len(dataset) == 0
        assert list(dataset) == []


class Doubled:
    """A user's own Collection, with a ``source`` of its own."""

    source = "somewhere else"

    def __len__(self):
        return 10

    def read(self, rows):
        return rows * 2

    def fingerprint(self):
        return "doubled"


def test_a_collection_of_ones_own_is_read_as_it_is():
    collection = Doubled()
    dataset = scDataset(collection, Streaming(), batch_size=4)
    assert dataset.collection is collection
    assert np.concatenate(list(dataset)).tolist() == list(range(0, 20, 2))


class EvensBackwards(SamplingStrategy):
    def get_indices(self, data_collection, seed=None, rng=None):
        return np.arange(0, len(data_collection), 2)[::-1]


def test_a_strategy_that_only_has_get_indices_works():
    assert rows_of(scDataset(np.arange(10), EvensBackwards(), batch_size=2, fetch_factor=2)) == [[8, 6], [4, 2], [0]]


class RandomSubset(SamplingStrategy):
    _shuffle_before_yield = True

    def get_len(self, data_collection):
        return 50

    def get_indices(self, data_collection, seed=None, rng=None):
        return rng.choice(len(data_collection), 50, replace=False)


def test_a_random_strategy_that_only_has_get_indices_differs_by_epoch_and_repeats():
    dataset = scDataset(np.arange(1000), RandomSubset(), batch_size=10, seed=4)
    first, second = rows_of(dataset), rows_of(dataset)
    assert first != second
    dataset.set_epoch(0)
    assert rows_of(dataset) == first


@pytest.mark.parametrize("labels", [["a"] * 90 + ["b"] * 10, np.repeat([0, 1], [90, 10])])
def test_classes_are_balanced_through_the_whole_loop(labels):
    dataset = scDataset(np.arange(100), ClassBalancedSampling(labels, total_size=10_000), 64, seed=0)
    share = np.mean(np.concatenate(rows_of(dataset)) >= 90)
    assert share == pytest.approx(0.5, abs=0.025)  # 5 standard deviations
