"""Rows of batches: shuffled inside windows, and the same whoever reads them.

Statistical tests use fixed seeds: they give the same answer on every run. Another generator, as good as this one, would
fail each check with a chance of `FALSE_ALARM`.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples

from scdataset.schedule.partition import Partition
from scdataset.schedule.windows import one_by_one, rows_of_batches
from scdataset.strategy import BlockShuffling, BlockWeightedSampling, Streaming

FALSE_ALARM = 1e-4
STRATEGIES = [
    Streaming(),
    Streaming(shuffle=True),
    BlockShuffling(3),
    BlockWeightedSampling(4),
    BlockWeightedSampling(4, replace=False, sampling_size=5, total_size=300),
]


@st.composite
def epochs(draw):
    """Return an order, its partition for one process, a seed and an epoch."""
    seed, epoch = draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 1000))
    order = draw(st.sampled_from(STRATEGIES)).order(draw(st.integers(5, 500)), seed, epoch)
    sizes = draw(st.integers(1, 40)), draw(st.integers(1, 9))
    return order, Partition(len(order), *sizes, drop_last=draw(st.booleans())), seed, epoch


def _batches(order, partition, runs, seed, epoch):
    """Return the rows of each batch in some runs, by number of the batch."""
    rows, bounds = rows_of_batches(order, partition, runs, seed, epoch)
    numbers = [batch for run in runs for batch in run]
    assert rows.dtype == np.int64
    assert bounds[0] == 0
    assert bounds[-1] == rows.size
    assert len(bounds) == len(numbers) + 1
    return [(number, rows[a:b].tolist()) for number, a, b in zip(numbers, bounds, bounds[1:], strict=False)]


def _all_batches(order, partition, seed, epoch):
    if partition.n_batches == 0:
        return {}
    return dict(_batches(order, partition, [range(partition.n_batches)], seed, epoch))


@settings(deadline=None, max_examples=examples(60))
@given(epochs=epochs(), world_size=st.integers(1, 7), n_workers=st.integers(1, 4), in_order=st.booleans())
def test_a_batch_has_the_same_rows_for_any_split_over_ranks_and_workers(epochs, world_size, n_workers, in_order):
    order, partition, seed, epoch = epochs
    expected = _all_batches(order, partition, seed, epoch)
    for rank in range(world_size):
        part = replace(partition, rank=rank, world_size=world_size)
        for worker in range(n_workers):
            for fetch in part.fetches(worker, n_workers, in_order=in_order):
                for number, rows in _batches(order, part, fetch, seed, epoch):
                    assert rows == expected[number]


@settings(deadline=None, max_examples=examples(100))
@given(epochs=epochs(), data=st.data())
def test_any_runs_of_batches_have_the_rows_of_those_batches(epochs, data):
    order, partition, seed, epoch = epochs
    expected = _all_batches(order, partition, seed, epoch)
    bounds = st.lists(st.integers(0, partition.n_batches), min_size=2, max_size=2, unique=True).map(sorted)
    if partition.n_batches:
        runs = [range(*pair) for pair in data.draw(st.lists(bounds, min_size=1, max_size=5))]
        assert all(rows == expected[number] for number, rows in _batches(order, partition, runs, seed, epoch))


@settings(deadline=None, max_examples=examples(100))
@given(epochs=epochs())
def test_a_window_holds_the_rows_of_one_fetch_and_batches_are_full(epochs):
    order, partition, seed, epoch = epochs
    yielded = _all_batches(order, replace(partition, drop_last=False), seed, epoch)
    size = partition.batch_size * partition.fetch_factor
    rows = [row for number in sorted(yielded) for row in yielded[number]]
    for start in range(0, len(order), size):
        stop = min(start + size, len(order))
        assert sorted(rows[start:stop]) == sorted(order.rows(start, stop).tolist())
    lengths = [len(yielded[number]) for number in sorted(yielded)]
    assert lengths[:-1] == [partition.batch_size] * (len(lengths) - 1)


@settings(deadline=None, max_examples=examples(100))
@given(epochs=epochs())
def test_drop_last_does_not_change_the_batches_that_remain(epochs):
    order, partition, seed, epoch = epochs
    every = _all_batches(order, replace(partition, drop_last=False), seed, epoch)
    kept = _all_batches(order, replace(partition, drop_last=True), seed, epoch)
    assert len(every) - len(kept) == (len(order) % partition.batch_size > 0)
    assert all(rows == every[number] for number, rows in kept.items())


def test_without_shuffling_rows_come_in_the_order_of_the_strategy():
    order = Streaming(range(0, 100, 3)).order(100, 0, 0)
    partition = Partition(len(order), 4, 3)
    rows, bounds = rows_of_batches(order, partition, [range(2, 5), range(8, 9)], 0, 0)
    assert rows.tolist() == [*range(24, 60, 3), 96, 99]
    assert bounds == [0, 4, 8, 12, 14]


def _places_in_windows(n_windows, size, seed, epoch):
    """Return how each window permutes its rows, shape (n_windows, size)."""
    order = Streaming(shuffle=True).order(n_windows * size, seed, epoch)
    partition = Partition(len(order), 1, size)
    rows, _ = rows_of_batches(order, partition, [range(partition.n_batches)], seed, epoch)
    return rows.reshape(n_windows, size) % size


def test_no_two_windows_of_any_rank_worker_epoch_or_seed_are_permuted_alike():
    """Each process starting the same random stream would permute the k-th window of all of them alike."""
    windows = [
        tuple(places.tolist())
        for seed, epoch in [(0, 0), (0, 1), (1, 0), (1, 1), (1000, 0), (0, 1000)]
        for places in _places_in_windows(24, 16, seed, epoch)
    ]
    assert len(set(windows)) == len(windows)


@pytest.mark.parametrize("epoch", range(3))
def test_every_row_is_equally_likely_at_every_place_of_its_window(epoch):
    n_windows, size = 6000, 8
    places = _places_in_windows(n_windows, size, 5, epoch)
    table = np.array([np.bincount(column, minlength=size) for column in places.T])
    # Rows and columns of a permutation matrix sum to 1, which leaves (size - 1)^2 degrees of freedom.
    statistic = ((table - n_windows / size) ** 2).sum() * (size - 1) / n_windows
    assert stats.chi2((size - 1) ** 2).sf(statistic) > FALSE_ALARM


@pytest.mark.parametrize("seed", range(3))
def test_permutations_of_neighbouring_windows_and_epochs_agree_as_often_as_chance(seed):
    shuffles = [_places_in_windows(400, 32, seed, epoch) for epoch in range(3)]
    pairs = [(a, b) for a, b in combinations(shuffles, 2)] + [(one[:-1], one[1:]) for one in shuffles]
    for left, right in pairs:
        agreements = stats.poisson(len(left))  # once a pair of permutations
        assert agreements.ppf(FALSE_ALARM / 2) <= np.count_nonzero(left == right) <= agreements.isf(FALSE_ALARM / 2)


def test_the_order_of_blocks_and_the_shuffle_inside_windows_are_unrelated():
    """With one key for both, a window of blocks of 1 would be permuted as the blocks are."""
    n = 64
    agreements = 0
    for seed in range(300):
        order = BlockShuffling(1).order(n, seed, 0)
        rows, _ = rows_of_batches(order, Partition(n, n, 1), [range(1)], seed, 0)
        places = np.argsort(order.rows(0, n))[rows]
        agreements += np.count_nonzero(places == order.rows(0, n))
    expected = stats.poisson(300)
    assert expected.ppf(FALSE_ALARM / 2) <= agreements <= expected.isf(FALSE_ALARM / 2)


@pytest.mark.parametrize("before", [0, 1, 3, 5, 8])
def test_fetches_whose_rows_are_found_together_come_one_by_one(before):
    order = BlockShuffling(2).order(50, 0, 0)
    partition = Partition(n_samples=50, batch_size=2, fetch_factor=3, drop_last=False, rank=0, world_size=1)
    assignment = partition.worker_assignment(1, in_order=False)

    def fetches(n_at_once):
        for run in partition.fetches_of_part(assignment, 0, before, n_at_once):
            yield rows_of_batches(order, partition, run, seed=0, epoch=0)

    single = [(rows.tolist(), bounds) for rows, bounds in fetches(1)]
    assert [(rows.tolist(), bounds) for rows, bounds in one_by_one(fetches(4), 3, before)] == single
