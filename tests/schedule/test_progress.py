"""Progress: what is left of an epoch comes exactly once, whoever goes on with it."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.schedule.epochs import all_loaded, as_loaded, begin, remaining, wholes

from scdataset.errors import StateError
from scdataset.schedule.partition import Partition
from scdataset.schedule.progress import Generation, Progress, RemainingEpoch

worlds, workers, orders = st.integers(1, 9), st.integers(0, 5), st.booleans()


@settings(max_examples=examples(400))
@given(whole=wholes(), world_size=worlds, n_workers=workers, in_order=orders, data=st.data())
def test_the_same_ranks_and_workers_go_on_as_if_nothing_had_been(whole, world_size, n_workers, in_order, data):
    ranks, first = all_loaded(whole, begin(), world_size, n_workers, in_order=in_order)
    taken = data.draw(st.integers(0, max(first.longest - 1, 0)))
    later, _ = all_loaded(whole, first.after(taken), world_size, n_workers, in_order=in_order)
    assert later == [rank[taken:] for rank in ranks]


@settings(max_examples=examples(400))
@given(whole=wholes(), world_size=worlds, n_workers=workers, in_order=orders, data=st.data())
def test_going_on_twice_is_going_on_once(whole, world_size, n_workers, in_order, data):
    _, first = all_loaded(whole, begin(), world_size, n_workers, in_order=in_order)
    some = data.draw(st.integers(0, max(first.longest - 1, 0)))
    more = data.draw(st.integers(some, max(first.longest - 1, 0)))
    again = remaining(whole, first.after(some), 0, world_size, n_workers, in_order=in_order)
    assert again.after(more - some) == first.after(more)
    assert again.total == len(first)


@settings(max_examples=examples(500))
@given(
    whole=wholes(),
    in_order=orders,
    sizes=st.lists(st.tuples(worlds, workers, st.floats(0, 1)), min_size=2, max_size=5),
)
def test_every_batch_comes_once_through_any_chain_of_worlds(whole, in_order, sizes):
    """Of each world at most the batches that pad its last round come twice, or those that do not divide are dropped."""
    progress, counts, allowance = begin(), Counter(), 0
    for number, (world_size, n_workers, share) in enumerate(sizes):
        ranks, first = all_loaded(whole, progress, world_size, n_workers, in_order=in_order)
        lengths = [len(rank) for rank in ranks]
        assert lengths == sorted(lengths, reverse=True)
        assert lengths[0] - lengths[-1] <= (1 if whole.uneven else 0)
        assert lengths[0] == first.longest == len(first)
        taken = lengths[0] if number == len(sizes) - 1 else int(share * lengths[0])
        counts.update(batch for rank in ranks for batch in rank[:taken])
        allowance += world_size - 1
        progress = first.after(taken)
        if progress.epoch:
            break
    n_batches = whole.n_batches
    repeated = sum(counts.values()) - len(counts)
    missed = n_batches - len(counts)
    assert set(counts) <= set(range(n_batches))
    assert missed <= (world_size - 1 if whole.drop_last and not whole.uneven else 0)
    assert repeated <= (0 if whole.drop_last or whole.uneven else allowance)


@settings(max_examples=examples(200))
@given(whole=wholes(), world_size=worlds, before=workers, after=workers, data=st.data())
def test_batches_in_order_stay_in_order_with_other_workers(whole, world_size, before, after, data):
    ranks, first = all_loaded(whole, begin(), world_size, before, in_order=True)
    taken = data.draw(st.integers(0, max(first.longest - 1, 0)))
    later, _ = all_loaded(whole, first.after(taken), world_size, after, in_order=True)
    assert later == [rank[taken:] for rank in ranks]


@settings(max_examples=examples(200))
@given(whole=wholes(), world_size=worlds, n_workers=workers, in_order=orders, data=st.data())
def test_progress_is_the_same_on_every_rank(whole, world_size, n_workers, in_order, data):
    remainders = [
        remaining(whole, begin(), rank, world_size, n_workers, in_order=in_order) for rank in range(world_size)
    ]
    taken = data.draw(st.integers(0, remainders[0].longest))
    assert len({each.after(taken) for each in remainders}) == 1


def test_nothing_taken_leaves_no_link_and_all_taken_is_the_next_epoch():
    whole = Partition(1000, 10, 4)
    first = remaining(whole, Progress(3), 0, 2, 3, in_order=False)
    assert first.after(0) == Progress(3)
    assert first.after(1) == Progress(3, (Generation(2, 3, 1),))
    assert first.after(50) == Progress(4)
    other = remaining(whole, first.after(7), 0, 5, 0, in_order=False)
    assert other.after(0) == first.after(7)
    assert other.after(2) == Progress(3, (Generation(2, 3, 7), Generation(5, 1, 2)))


def test_workers_leave_no_trace_where_batches_come_in_order():
    whole = Partition(1000, 10, 4)
    assert remaining(whole, begin(), 0, 2, 3, in_order=True).after(9) == Progress(0, (Generation(2, 1, 9),))


def test_a_fresh_loader_begins_with_the_worker_whose_turn_it_was():
    whole = Partition(160, 10, 4)
    uninterrupted = as_loaded(remaining(whole, begin(), 0, 1, 3, in_order=False), 3)
    assert uninterrupted == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12, 13, 14, 15]
    resumed = remaining(whole, Progress(0, (Generation(1, 3, 4),)), 0, 1, 3, in_order=False)
    assert [resumed.part_of(worker) for worker in range(3)] == [(1, 1), (2, 1), (0, 2)]


def test_whole_fetches_stay_whole_for_another_world():
    """8 ranks have begun 8 fetches; the others are dealt to 3 ranks whole, and the remains of the 8 are divided."""
    whole = Partition(16 * 100 * 10, 10, 16)
    after = RemainingEpoch.from_progress(replace(whole, world_size=8), begin(), 0, in_order=False).after(5)
    ranks, _ = all_loaded(whole, after, 3, 0, in_order=False)
    assert [rank[0] // 16 for rank in ranks] == [8, 9, 10]
    assert all(rank[:16] == list(range(rank[0], rank[0] + 16)) for rank in ranks)
    assert ranks[0][30 * 16 :][:11] == list(range(5, 16))


def test_a_chain_that_took_more_than_there_was_is_refused():
    whole = Partition(1000, 10, 4)
    RemainingEpoch.from_progress(whole, Progress(0, (Generation(2, 1, 50),)), 0, in_order=False)
    for chain in [(Generation(2, 1, 51),), (Generation(2, 1, 40), Generation(1, 1, 21))]:
        with pytest.raises(StateError, match=r"taken from each of \d ranks?, where (50|20) are"):
            RemainingEpoch.from_progress(whole, Progress(0, chain), 0, in_order=False)


def test_a_billion_rows_on_1024_ranks_are_a_few_ranges():
    whole = Partition(10**9, 64, 64, world_size=1024)
    progress = Progress(0, (Generation(1024, 8, 7001), Generation(1000, 4, 31)))
    resumed = RemainingEpoch.from_progress(replace(whole, world_size=999), progress, 2, in_order=False)
    assert resumed.partition.left.count == whole.n_batches - 1024 * 7001 - 1000 * 31
    assert len(resumed.partition.left.runs) < 1024 * 16 + 1000 * 8
    assert len(resumed) == -(-resumed.partition.left.count // 999)


def test_what_is_left_after_changes_of_size_is_worked_out_once(monkeypatch):
    whole = Partition(1_000_003, 8, 4)
    progress = Progress(0, (Generation(3, 1, 40), Generation(5, 2, 60), Generation(2, 1, 50)))
    worked_out = []
    after = Partition.after
    monkeypatch.setattr(Partition, "after", lambda *given, **options: worked_out.append(1) or after(*given, **options))
    lengths = {
        (len(rest), rest.total)
        for rest in (RemainingEpoch.from_progress(whole, progress, 0, in_order=False) for _ in range(9))
    }
    assert len(lengths) == 1
    assert len(worked_out) == 3


def test_many_ranks_with_8_workers_yield_every_batch_once_through_three_changes_of_size():
    whole = Partition(n_samples=100_000, batch_size=19, fetch_factor=3)
    sizes = ((120, 8, 0.35), (119, 8, 0.5), (60, 4, 0.4), (120, 8, 1.0))
    progress, counts = begin(), Counter()
    for world_size, n_workers, share in sizes:
        first = remaining(whole, progress, 0, world_size, n_workers, in_order=False)
        taken = int(len(first) * share)
        for rank in range(world_size):
            part = replace(first, partition=replace(first.partition, rank=rank))
            counts.update(as_loaded(part, n_workers)[:taken])
        progress = first.after(taken)
    assert counts.keys() == set(range(whole.n_batches))
    assert counts.total() - whole.n_batches < sizes[-1][0]
    assert progress == Progress(1)
