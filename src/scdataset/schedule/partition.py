"""Which batches a rank and a worker yield: pure arithmetic over positions of an epoch.

    samples  |---------------------------- n_samples ----------------------------|
    batches  |--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|-|
    fetches  |-----------|-----------|-----------|-----------|-----------|-------|
    ranks    |     0     |     1     |     0     |     1     | divided by batches|

Whole fetches go round-robin to ranks. The last incomplete round is divided by batches, in equal and contiguous shares,
so that ranks end equal. Where an epoch goes on with other ranks or workers than it began with, its remaining batches
are divided in the same way: the fetches that nobody has begun are whole, and the remains of the others are divided.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from scdataset._properties import cached_property
from scdataset.schedule.interval_set import IntervalSet
from scdataset.schedule.worker_assignment import WorkerAssignment

__all__ = ["Partition"]


@dataclass(frozen=True)
class Partition:
    """How the batches of an epoch, or those that are left of it, are shared out.

    Attributes
    ----------
    n_samples
        Samples in the epoch, over all ranks.
    batch_size, fetch_factor
        Samples in a batch, and batches in a fetch.
    drop_last
        Drop the last batch if it is short, and the batches that do not divide among ranks.
    rank, world_size
        This rank, from 0, and the number of ranks.
    uneven
        Let the first ranks yield one batch more where batches do not divide: nothing is dropped for it or repeated.
    left
        The batches that are left of the epoch; None for all.
    """

    n_samples: int
    batch_size: int
    fetch_factor: int
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1
    uneven: bool = False
    left: IntervalSet | None = None

    @cached_property
    def n_batches(self) -> int:
        """Batches in the epoch, over all ranks."""
        full, rest = divmod(self.n_samples, self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    @cached_property
    def n_rounds(self) -> int:
        """Rounds in which every rank gets a whole fetch."""
        return self._windows.count // self.world_size

    @cached_property
    def n_rest(self) -> int:
        """Batches that do not fill a round."""
        return self._rest.count

    def __len__(self) -> int:
        """Return the number of batches that this rank yields."""
        return self._length(self.rank)

    @property
    def longest(self) -> int:
        """The number of batches that the first rank yields: as many as any other, or more."""
        return self._length(0)

    def samples(self, batches: range) -> tuple[int, int]:
        """Return the positions [start, stop) of the samples in neighbouring batches of the epoch."""
        return batches.start * self.batch_size, min(batches.stop * self.batch_size, self.n_samples)

    def batches(self, start: int, stop: int) -> list[range]:
        """Return which batches of the epoch this rank yields at steps [start, stop), as runs of neighbours."""
        return self._batches_of(self.rank, start, stop)

    def worker_assignment(self, n_workers: int, *, in_order: bool) -> WorkerAssignment:
        """Return the assignment of this rank's steps to workers: by fetches, or singly so that they come in order."""
        return WorkerAssignment(len(self), self._assigned_at_once(in_order), n_workers)

    def fetches(self, worker: int = 0, n_workers: int = 1, *, in_order: bool = False) -> Iterator[list[range]]:
        """Yield the fetches of one worker of this rank: runs of neighbouring batches, numbered in the epoch.

        Parameters
        ----------
        worker, n_workers
            This worker, from 0, and the number of workers.
        in_order
            Assign single batches rather than whole fetches, so that taking one batch of each worker in turn gives the
            order that one worker has.
        """
        return self.fetches_of_part(self.worker_assignment(n_workers, in_order=in_order), worker, 0)

    def fetches_of_part(
        self, assignment: WorkerAssignment, part: int, begun: int, n_fetches: int = 1
    ) -> Iterator[list[range]]:
        """Yield the fetches of one worker's part of the steps, after ``begun`` of them.

        Where nothing is fetched, as batches are taken from memory, ``n_fetches`` are yielded as one.
        """
        size, length = self.fetch_factor * n_fetches, assignment.n_steps_of(part)
        while begun < length:
            stop = min((begun // size + 1) * size, length)
            steps = assignment.steps(part, begun, stop)
            yield [run for some in steps for run in self.batches(some.start, some.stop)]
            begun = stop

    def after(self, batches: int, n_workers: int, *, in_order: bool) -> IntervalSet:
        """Return the batches of the epoch that are left when every rank has yielded ``batches`` of this partition."""
        lengths = {self._length(rank) for rank in (0, self.world_size - 1)}
        by_length = {
            n: WorkerAssignment(n, self._assigned_at_once(in_order), n_workers).taken(batches) for n in lengths
        }
        rounds = min(min(done for done, _ in by_length.values()) // self.fetch_factor, self.n_rounds)
        common = rounds * self.fetch_factor  # rounds that every rank has taken need no look at each rank
        taken = [self._batches_of_window(run) for run in self._windows.at(0, rounds * self.world_size)]
        for rank in range(self.world_size):
            done, runs = by_length[self._length(rank)]
            for run in (range(common, done), *runs):
                taken += self._batches_of(rank, max(run.start, common), run.stop)
        return self._left.without(IntervalSet.from_ranges(taken))

    @cached_property
    def _left(self) -> IntervalSet:
        return IntervalSet.from_ranges([range(self.n_batches)]) if self.left is None else self.left

    @cached_property
    def _windows(self) -> IntervalSet:
        """Fetches that nobody has begun."""
        return self._left.aligned(self.fetch_factor)

    @cached_property
    def _rest(self) -> IntervalSet:
        """Batches that do not fill a round of whole fetches."""
        whole = self._windows.at(0, self.n_rounds * self.world_size)
        return self._left.without(IntervalSet.from_ranges(map(self._batches_of_window, whole)))

    def _batches_of_window(self, windows: range) -> range:
        return range(windows.start * self.fetch_factor, windows.stop * self.fetch_factor)

    def _length(self, rank: int) -> int:
        return self.n_rounds * self.fetch_factor + len(self._share(rank))

    def _assigned_at_once(self, in_order: bool) -> int:  # noqa: FBT001 private
        return 1 if in_order else self.fetch_factor

    def _batches_of(self, rank: int, start: int, stop: int) -> list[range]:
        whole = self.n_rounds * self.fetch_factor
        runs = []
        while start < min(stop, whole):
            number, offset = divmod(start, self.fetch_factor)
            place = number * self.world_size + rank
            window = self._batches_of_window(self._windows.at(place, place + 1)[0])
            runs.append(window[offset : offset + stop - start])
            start += len(runs[-1])
        share = self._share(rank)[max(start - whole, 0) : max(stop - whole, 0)]
        first = share.start
        while first < share.stop:
            offset = first % self.n_rest
            last = min(offset + share.stop - first, self.n_rest)
            runs += self._rest.at(offset, last)
            first += last - offset
        return runs

    def _share(self, rank: int) -> range:
        """Return the places, in the rest, of a rank's batches.

        Without ``drop_last`` they run past the end of the rest, which repeats batches from the first on.
        """
        share, over = divmod(self.n_rest, self.world_size)
        if self.uneven:
            start = rank * share + min(rank, over)
            return range(start, start + share + (1 if rank < over else 0))
        if over and not self.drop_last:
            share += 1
        return range(rank * share, (rank + 1) * share)
