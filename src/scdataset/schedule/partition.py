"""Which batches a rank and a worker yield: pure arithmetic over positions of an epoch.

    samples  |---------------------------- n_samples ----------------------------|
    batches  |--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|-|
    fetches  |-----------|-----------|-----------|-----------|-----------|-------|
    ranks    |     0     |     1     |     0     |     1     | divided by batches|

Whole fetches go round-robin to ranks. The last, incomplete round is divided by batches, so that ranks end equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Partition"]


@dataclass(frozen=True)
class Partition:
    """How the batches of an epoch are shared out.

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
    """

    n_samples: int
    batch_size: int
    fetch_factor: int
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1
    uneven: bool = False

    @cached_property
    def n_batches(self) -> int:
        """Batches in the epoch, over all ranks."""
        full, rest = divmod(self.n_samples, self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    @cached_property
    def n_rounds(self) -> int:
        """Rounds in which every rank gets a whole fetch."""
        return self.n_batches // (self.fetch_factor * self.world_size)

    @cached_property
    def n_rest(self) -> int:
        """Batches of the last, incomplete round."""
        return self.n_batches - self.n_rounds * self.fetch_factor * self.world_size

    def __len__(self) -> int:
        """Return the number of batches that this rank yields."""
        return self.n_rounds * self.fetch_factor + len(self._rest)

    def batch(self, step: int) -> int:
        """Return the number, in the epoch, of the batch that this rank yields at ``step``, from 0."""
        whole = self.n_rounds * self.fetch_factor
        if step < whole:
            number, offset = divmod(step, self.fetch_factor)
            return (number * self.world_size + self.rank) * self.fetch_factor + offset
        return whole * self.world_size + self._rest[step - whole] % self.n_rest

    def samples(self, batch: int) -> tuple[int, int]:
        """Return the positions [start, stop) of the samples in a batch of the epoch."""
        start = batch * self.batch_size
        return start, min(start + self.batch_size, self.n_samples)

    def fetches(self, worker: int = 0, n_workers: int = 1, *, in_order: bool = False) -> Iterator[list[int]]:
        """Yield the batches that one worker of this rank fetches together, a list of batch numbers a fetch.

        Parameters
        ----------
        worker, n_workers
            This worker, from 0, and the number of workers.
        in_order
            Deal out single batches rather than whole fetches, so that taking one batch of each worker in turn gives the
            order that one worker has.
        """
        stride = n_workers if in_order else 1
        size = self.fetch_factor
        start = worker if in_order else worker * size
        for first in range(start, len(self), n_workers * size):
            steps = range(first, min(first + size * stride, len(self)), stride)
            yield [self.batch(step) for step in steps]

    @cached_property
    def _rest(self) -> range:
        """Numbers, among the batches of the last round, of those that this rank yields.

        Without ``drop_last`` the numbers run past ``n_rest``, which repeats batches from the first on.
        """
        share, over = divmod(self.n_rest, self.world_size)
        if self.uneven:
            start = self.rank * share + min(self.rank, over)
            return range(start, start + share + (1 if self.rank < over else 0))
        if over and not self.drop_last:
            share += 1
        return range(self.rank * share, (self.rank + 1) * share)
