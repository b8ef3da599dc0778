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

    def samples(self, batches: range) -> tuple[int, int]:
        """Return the positions [start, stop) of the samples in neighbouring batches of the epoch."""
        return batches.start * self.batch_size, min(batches.stop * self.batch_size, self.n_samples)

    def batches(self, start: int, stop: int) -> list[range]:
        """Return which batches of the epoch this rank yields at steps [start, stop), as runs of neighbours."""
        whole = self.n_rounds * self.fetch_factor
        runs = []
        while start < stop:
            if start < whole:
                number, offset = divmod(start, self.fetch_factor)
                first = (number * self.world_size + self.rank) * self.fetch_factor + offset
                length = self.fetch_factor - offset
            else:
                offset = self._rest[start - whole] % self.n_rest
                first = whole * self.world_size + offset
                length = self.n_rest - offset
            length = min(length, stop - start)
            runs.append(range(first, first + length))
            start += length
        return runs

    def fetches(self, worker: int = 0, n_workers: int = 1, *, in_order: bool = False) -> Iterator[list[range]]:
        """Yield what one worker of this rank fetches together: runs of neighbouring batches, numbered in the epoch.

        Parameters
        ----------
        worker, n_workers
            This worker, from 0, and the number of workers.
        in_order
            Deal out single batches rather than whole fetches, so that taking one batch of each worker in turn gives the
            order that one worker has.
        """
        size = self.fetch_factor
        if in_order and n_workers > 1:
            for first in range(worker, len(self), n_workers * size):
                steps = range(first, min(first + n_workers * size, len(self)), n_workers)
                yield [run for step in steps for run in self.batches(step, step + 1)]
        else:
            for first in range(worker * size, len(self), n_workers * size):
                yield self.batches(first, min(first + size, len(self)))

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
