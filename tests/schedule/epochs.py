"""Epochs of random sizes that ranks and workers go through, in lockstep and by pure arithmetic, for the tests here."""

from dataclasses import replace

from hypothesis import strategies as st

from scdataset.schedule.partition import Partition
from scdataset.schedule.progress import Progress, RemainingEpoch


@st.composite
def wholes(draw, max_samples=1500):
    """Return the partition of a whole epoch, for the first rank of one."""
    return Partition(
        n_samples=draw(st.integers(0, max_samples)),
        batch_size=draw(st.integers(1, 40)),
        fetch_factor=draw(st.integers(1, 12)),
        drop_last=draw(st.booleans()),
        uneven=draw(st.booleans()),
    )


def remaining(whole, progress, rank, world_size, n_workers, *, in_order):
    """Return the rest of an epoch for one rank."""
    return RemainingEpoch.from_progress(
        replace(whole, rank=rank, world_size=world_size), progress, n_workers, in_order=in_order
    )


def as_loaded(remaining, n_workers):
    """Return the batches of a rank in the order in which a DataLoader returns them: one of each worker in turn."""
    streams = []
    for worker in range(max(n_workers, 1)):
        part, before = remaining.part_of(worker)
        fetches = remaining.partition.fetches_of_part(remaining.assignment, part, before)
        streams.append([batch for fetch in fetches for run in fetch for batch in run])
    longest = max(map(len, streams))
    return [stream[turn] for turn in range(longest) for stream in streams if turn < len(stream)]


def all_loaded(whole, progress, world_size, n_workers, *, in_order):
    """Return what each rank yields from some progress on, and the remaining epoch of the first."""
    remainders = [
        remaining(whole, progress, rank, world_size, n_workers, in_order=in_order) for rank in range(world_size)
    ]
    return [as_loaded(each, n_workers) for each in remainders], remainders[0]


def begin():
    """Return the progress of an epoch that nobody has begun."""
    return Progress(0)
