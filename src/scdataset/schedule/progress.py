"""The progress of an epoch, in a few integers that are the same on every rank.

    chain                 8 ranks x 4 workers, 200 batches each ──► 6 ranks, 31 each ──► ...
    consumed batches      a pure function of the chain: all ranks keep in step
    remaining batches     whole fetches, and the remains of those that were begun; shared out anew to other ranks

Going on with the ranks and workers of the last link continues it, with the same batches in the same order. Other ranks
or workers begin a new link. A link from which nothing was taken is left out.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from scdataset._properties import cached_property
from scdataset._tables import counted
from scdataset.errors import StateError
from scdataset.schedule.partition import Partition
from scdataset.schedule.worker_assignment import WorkerAssignment

__all__ = ["Generation", "Progress", "RemainingEpoch"]


@dataclass(frozen=True, slots=True)
class Generation:
    """A part of an epoch that went through the same ranks and workers.

    Attributes
    ----------
    world_size
        Number of ranks, at least 1.
    n_workers
        DataLoader workers of each, at least 1; always 1 where batches come in order, which is independent of workers.
    taken
        Batches that were taken from each rank, at least 1.
    """

    world_size: int
    n_workers: int
    taken: int


@dataclass(frozen=True, slots=True)
class Progress:
    """An epoch, and how much of it was taken."""

    epoch: int
    chain: tuple[Generation, ...] = ()

    @property
    def taken(self) -> int:
        """Batches that were taken, one rank after the other's size changed, from each rank."""
        return sum(generation.taken for generation in self.chain)


@dataclass(frozen=True)
class RemainingEpoch:
    """The rest of an epoch, for the ranks and workers that go on with it.

    Attributes
    ----------
    partition
        This rank's batches, from the beginning of the generation.
    before
        Progress at the beginning of the generation.
    n_workers
        Workers of each rank, at least 1.
    begun
        Batches of the generation that were taken before.
    in_order
        Whether batches come in order with any number of workers.
    """

    partition: Partition
    before: Progress
    n_workers: int
    begun: int
    in_order: bool

    @classmethod
    @lru_cache(maxsize=8)  # earlier world sizes take milliseconds, and progress bars ask for the length often
    def from_progress(cls, whole: Partition, progress: Progress, n_workers: int, *, in_order: bool) -> "RemainingEpoch":
        """Return the rest of an epoch after some progress, for a rank of ``whole``, the partition of all of it.

        Raises
        ------
        StateError
            If more was taken than there was.
        """
        workers = max(n_workers, 1)
        part, chain = whole, progress.chain
        for number, generation in enumerate(chain):
            there = replace(part, rank=0, world_size=generation.world_size)
            _check_taken(generation, there, number)
            size = (generation.world_size, generation.n_workers)
            if number == len(chain) - 1 and size == (whole.world_size, 1 if in_order else workers):
                return cls(part, Progress(progress.epoch, chain[:-1]), workers, generation.taken, in_order)
            part = replace(part, left=there.after(generation.taken, generation.n_workers, in_order=in_order))
        return cls(part, progress, workers, 0, in_order)

    def __len__(self) -> int:
        """Return the number of batches that this rank yields from here on."""
        return max(len(self.partition) - self.begun, 0)

    @cached_property
    def total(self) -> int:
        """Batches of the epoch on this rank, with those that were taken before."""
        return self.before.taken + max(len(self.partition), self.begun)

    @property
    def longest(self) -> int:
        """Batches from here on that the first rank yields: as many as any other, or more."""
        return self.partition.longest - self.begun

    def after(self, batches: int) -> Progress:
        """Return the progress when ``batches`` more were taken: that of the next epoch when none is left."""
        if batches and batches >= self.longest:
            return Progress(self.before.epoch + 1)
        taken = self.begun + batches
        if not taken:
            return self.before
        generation = Generation(self.partition.world_size, 1 if self.in_order else self.n_workers, taken)
        return replace(self.before, chain=(*self.before.chain, generation))

    @property
    def assignment(self) -> WorkerAssignment:
        """The assignment of this rank's steps to its workers."""
        return self.partition.worker_assignment(self.n_workers, in_order=self.in_order)

    def part_of(self, worker: int) -> tuple[int, int]:
        """Return whose part of the steps a worker of a DataLoader goes on with, and how many of them were given.

        A DataLoader asks its first worker first, so that goes on for the one whose turn it was.
        """
        counts, turn = self.assignment.given(self.begun)
        part = (worker + turn) % self.n_workers
        return part, counts[part]


def _check_taken(generation: Generation, there: Partition, number: int) -> None:
    if generation.taken > there.longest:
        message = (
            f"Link {number} of the state's chain has {counted(generation.taken, 'batch')} taken from each of "
            f"{counted(generation.world_size, 'rank')}, where {there.longest} are; load an earlier state."
        )
        raise StateError(message)
