"""Assign the steps of a rank to its DataLoader workers, and tell which of them a number of batches took.

    steps    0 1 2 3 | 4 5 6 7 | 8 9 10 11 | 12 13      assigned 4 at a time to two workers
    worker   0         1         0           1
    taken    0 4 1 5 2 6 3 7 8 12 9 13 10 11            one of each in turn, skipping finished workers

Pure arithmetic: the number of steps each worker gave after k batches has a closed form, so the main process, which only
counts batches, knows which steps were taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["WorkerAssignment"]


@dataclass(frozen=True, slots=True)
class WorkerAssignment:
    """Steps [0, n_steps) assigned round-robin.

    Attributes
    ----------
    n_steps
        Batches that the rank yields.
    size
        Steps assigned at once: those of a fetch, or 1 where batches have to come in order.
    n_workers
        Workers, at least 1.
    """

    n_steps: int
    size: int
    n_workers: int

    def n_steps_of(self, worker: int) -> int:
        """Return the number of steps of a worker."""
        turns, rest = divmod(self.n_steps, self.size * self.n_workers)
        return turns * self.size + min(max(rest - worker * self.size, 0), self.size)

    def given(self, batches: int) -> tuple[list[int], int]:
        """Return how many batches each worker gave when ``batches`` were taken, and whose turn comes next."""
        lengths = [self.n_steps_of(worker) for worker in range(self.n_workers)]
        rounds, left = 0, batches
        # Workers finish in ascending order of length; between two finishes every active worker gives one in turn.
        for n_finished, length in enumerate(sorted(lengths)):
            active = self.n_workers - n_finished
            if left < (length - rounds) * active:
                rounds += left // active
                left %= active
                break
            left -= (length - rounds) * active
            rounds = length
        counts, turn = [], 0
        for worker, length in enumerate(lengths):
            gives_one_more = length > rounds and left > 0
            counts.append(min(length, rounds) + gives_one_more)
            if gives_one_more:
                left, turn = left - 1, (worker + 1) % self.n_workers
        return counts, turn

    def steps(self, worker: int, start: int, stop: int) -> Iterator[range]:
        """Yield the steps from the ``start``-th to before the ``stop``-th of a worker, as runs."""
        if self.n_workers == 1:
            yield range(start, stop)
            return
        while start < stop:
            number, offset = divmod(start, self.size)
            first = (number * self.n_workers + worker) * self.size + offset
            length = min(self.size - offset, stop - start)
            yield range(first, first + length)
            start += length

    def taken(self, batches: int) -> tuple[int, list[range]]:
        """Return the steps taken when ``batches`` were: all steps before a first one, and runs from there on.

        The first number divides by the steps that all workers are assigned in one turn.
        """
        counts, _ = self.given(batches)
        turns = min(count // self.size for count in counts)
        runs = [run for worker, n in enumerate(counts) for run in self.steps(worker, turns * self.size, n)]
        return turns * self.size * self.n_workers, runs
