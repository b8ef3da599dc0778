"""Partition: which batches each rank and worker yields, for any sizes."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from scdataset.schedule.partition import Partition


@st.composite
def partitions(draw):
    """Return the partition of every rank of one world."""
    world_size = draw(st.integers(1, 9))
    first = Partition(
        n_samples=draw(st.integers(0, 2000)),
        batch_size=draw(st.integers(1, 70)),
        fetch_factor=draw(st.integers(1, 20)),
        drop_last=draw(st.booleans()),
        world_size=world_size,
        uneven=draw(st.booleans()),
    )
    return [replace(first, rank=rank) for rank in range(world_size)]


workers = st.integers(1, 5)


def _of_worker(partition, worker, n_workers, in_order):
    return [
        batch for fetch in partition.fetches(worker, n_workers, in_order=in_order) for run in fetch for batch in run
    ]


def _of_rank(partition):
    return [batch for run in partition.batches(0, len(partition)) for batch in run]


@settings(deadline=None, max_examples=examples(300))
@given(ranks=partitions())
def test_all_ranks_together_yield_every_batch_but_what_is_dropped_and_repeat_only_padding(ranks):
    one = ranks[0]
    counts = Counter(batch for partition in ranks for batch in _of_rank(partition))
    yielded = sum(counts.values())
    assert set(counts) <= set(range(one.n_batches))
    if one.uneven:
        assert counts == Counter(range(one.n_batches))
    elif one.drop_last:
        assert max(counts.values(), default=1) == 1
        assert one.n_batches - one.world_size < yielded <= one.n_batches
    else:
        assert set(counts) == set(range(one.n_batches))
        assert one.n_batches <= yielded < one.n_batches + one.world_size


@settings(deadline=None, max_examples=examples(300))
@given(ranks=partitions())
def test_ranks_are_equally_long_unless_uneven_was_asked_for(ranks):
    lengths = [len(partition) for partition in ranks]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] - lengths[-1] <= (1 if ranks[0].uneven else 0)


@settings(deadline=None, max_examples=examples(300))
@given(ranks=partitions())
def test_the_batches_of_an_epoch_are_its_samples_once(ranks):
    one = ranks[0]
    bounds = [one.samples(range(batch, batch + 1)) for batch in range(one.n_batches)]
    covered = one.n_samples - (one.n_samples % one.batch_size if one.drop_last else 0)
    assert [start for start, _ in bounds] == list(range(0, covered, one.batch_size))
    assert [stop for _, stop in bounds[:-1]] == [start for start, _ in bounds[1:]]
    assert not bounds or bounds[-1][1] == covered
    if bounds:
        assert one.samples(range(one.n_batches)) == (0, covered)


@settings(deadline=None, max_examples=examples(300))
@given(ranks=partitions(), n_workers=workers, in_order=st.booleans(), data=st.data())
def test_len_is_the_exact_number_of_batches_of_all_workers(ranks, n_workers, in_order, data):
    partition = data.draw(st.sampled_from(ranks))
    yielded = [batch for worker in range(n_workers) for batch in _of_worker(partition, worker, n_workers, in_order)]
    assert len(yielded) == len(partition)
    assert sorted(yielded) == sorted(_of_rank(partition))


@settings(deadline=None, max_examples=examples(300))
@given(ranks=partitions(), n_workers=workers, data=st.data())
def test_one_batch_of_each_worker_in_turn_is_the_order_of_one_worker(ranks, n_workers, data):
    partition = data.draw(st.sampled_from(ranks))
    streams = [iter(_of_worker(partition, worker, n_workers, in_order=True)) for worker in range(n_workers)]
    taken = [next(streams[step % n_workers]) for step in range(len(partition))]
    assert taken == _of_rank(partition) == _of_worker(partition, 0, 1, in_order=True)
    assert all(next(stream, None) is None for stream in streams)


@settings(deadline=None, max_examples=examples(300))
@given(ranks=partitions(), n_workers=workers, in_order=st.booleans(), data=st.data())
def test_a_fetch_is_one_to_fetch_factor_batches_in_runs_that_are_not_empty(ranks, n_workers, in_order, data):
    partition = data.draw(st.sampled_from(ranks))
    for worker in range(n_workers):
        fetches = list(partition.fetches(worker, n_workers, in_order=in_order))
        sizes = [sum(len(run) for run in fetch) for fetch in fetches]
        assert all(0 < size <= partition.fetch_factor for size in sizes)
        assert all(size == partition.fetch_factor for size in sizes[:-1])
        assert all(len(run) > 0 and run.step == 1 for fetch in fetches for run in fetch)


@settings(deadline=None, max_examples=examples(200))
@given(ranks=partitions(), n_workers=workers, data=st.data())
def test_whole_fetches_are_whole_windows_dealt_to_ranks_in_turn(ranks, n_workers, data):
    partition = data.draw(st.sampled_from(ranks))
    size = partition.fetch_factor
    whole = [run for worker in range(n_workers) for fetch in partition.fetches(worker, n_workers) for run in fetch]
    whole = sorted(run.start for run in whole if run.stop <= partition.n_rounds * size * partition.world_size)
    assert whole == [(number * partition.world_size + partition.rank) * size for number in range(partition.n_rounds)]


@settings(deadline=None, max_examples=examples(300))
@given(ranks=partitions(), data=st.data())
def test_any_steps_of_a_rank_equal_those_of_all_its_steps(ranks, data):
    partition = data.draw(st.sampled_from(ranks))
    start = data.draw(st.integers(0, len(partition)))
    stop = data.draw(st.integers(start, len(partition)))
    assert [batch for run in partition.batches(start, stop) for batch in run] == _of_rank(partition)[start:stop]


def test_640_rows_in_40_batches_are_10_batches_on_each_of_4_ranks():
    """Dealing whole fetches only, ranks would yield 16, 16, 8 and 0 batches, and training would hang."""
    ranks = [Partition(640, 16, 16, rank=rank, world_size=4) for rank in range(4)]
    assert [len(partition) for partition in ranks] == [10, 10, 10, 10]
    assert sorted(batch for partition in ranks for batch in _of_rank(partition)) == list(range(40))


@pytest.mark.parametrize(("drop_last", "uneven"), [(False, False), (True, False), (False, True)])
def test_a_world_larger_than_the_batches_is_served(drop_last, uneven):
    ranks = [Partition(30, 10, 4, drop_last, rank, 5, uneven) for rank in range(5)]
    yielded = [_of_rank(partition) for partition in ranks]
    expected = [[0], [1], [2], [0], [1]]
    if drop_last:
        expected = [[]] * 5
    if uneven:
        expected = [[0], [1], [2], [], []]
    assert yielded == expected


def test_the_length_of_a_huge_epoch_is_arithmetic():
    partition = Partition(10**15, 64, 16, rank=6, world_size=7)
    n_batches = 10**15 // 64
    assert len(partition) == -(-n_batches // 7)
    last = [batch for run in partition.batches(len(partition) - 3, len(partition)) for batch in run]
    assert all(0 <= batch < n_batches for batch in last)
    assert next(partition.fetches(3, 5)) == [range((3 * 7 + 6) * 16, (3 * 7 + 7) * 16)]


def test_an_epoch_without_samples_has_no_batches():
    partition = Partition(0, 8, 4, world_size=3)
    assert len(partition) == 0
    assert list(partition.fetches(0, 2)) == []
    assert partition.batches(0, 0) == []


@pytest.mark.parametrize(("n_workers", "in_order"), [(1, False), (1, True), (3, False), (3, True)])
def test_several_fetches_at_once_have_the_same_batches_in_the_same_order(n_workers, in_order):
    partition = Partition(1003, 10, 4, rank=1, world_size=2)
    for worker in range(n_workers):
        assignment = partition.worker_assignment(n_workers, in_order=in_order)
        singly, together = ([_listed(partition, assignment, worker, begun, n) for begun in (0, 3)] for n in (1, 5))
        assert singly == together


def _listed(partition, assignment, worker, begun, n_fetches):
    fetches = partition.fetches_of_part(assignment, worker, begun, n_fetches)
    return [batch for runs in fetches for run in runs for batch in run]
