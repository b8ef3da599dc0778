"""One iteration over the batches of a rank, or over a DataLoader worker's part of them, and its position."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scdataset.dataset.monitor import LOOP, MODEL, Monitor
from scdataset.engine.observer import Observer, observing
from scdataset.schedule.progress import Progress, RemainingEpoch
from scdataset.schedule.worker_assignment import WorkerAssignment

__all__ = ["Iteration", "RankIteration"]


@dataclass(slots=True)
class RankIteration:
    """The part of an epoch that an iteration yields, and how many batches it gave.

    Attributes
    ----------
    begun
        Progress when it began.
    remaining
        The rank's batches from there on.
    part
        Which worker's part of the steps is yielded here, from 0.
    before
        Batches of the part that were given before.
    given
        Batches that were given since.
    is_running
        Whether more may come.
    window
        Batches that were given before the window in use, and the bounds between its batches.
    """

    begun: Progress
    remaining: RemainingEpoch
    part: int
    before: int
    given: int = 0
    is_running: bool = True
    window: tuple[int, list[int]] = (0, [0, 0])

    @property
    def rows_of_last(self) -> int:
        """Rows in the batch that was given last."""
        before, bounds = self.window
        place = self.given - before
        return bounds[place] - bounds[place - 1]

    @property
    def assignment(self) -> WorkerAssignment:
        """The assignment of the rank's steps to workers."""
        return self.remaining.assignment

    def fetches(self, n_at_once: int = 1) -> Iterator[list[range]]:
        """Yield the batches of each fetch, as runs, or of several fetches at once."""
        return self.remaining.partition.fetches_of_part(self.assignment, self.part, self.before, n_at_once)

    @property
    def gave_all(self) -> bool:
        """Whether the last batch of this rank was given; not all hosts ask for one more to see the end."""
        return self.given == len(self.remaining)

    @property
    def is_over(self) -> bool:
        """Whether all was given and the end was seen, by which a rank that has one batch less knows it."""
        return self.gave_all and not self.is_running

    def progress(self) -> Progress:
        """Return the progress in the epoch, where this iteration is all of it."""
        return Progress(self.begun.epoch + 1) if self.is_over else self.remaining.after(self.given)


class Iteration(Iterator[Any]):
    """An iterator that begins when the first batch is asked for, and counts batches as it gives them.

    Parameters
    ----------
    begin
        Begins the iteration and returns it with its batches.
    monitor
        Counts, if anybody asked.
    """

    def __init__(self, begin: Callable[[], tuple[RankIteration, Iterator[object]]], monitor: Monitor) -> None:
        self._begin = begin
        self._monitor = monitor
        self._given_at: float | None = None
        self._iteration: RankIteration | None = None
        self._batches: Iterator[object] = iter(())

    def begin(self) -> None:
        """Begin now; it does nothing the second time."""
        if self._iteration is None:
            self._iteration, self._batches = self._begin()

    def close(self) -> None:
        """End it, as a generator: reading ahead stops, and there are no more batches."""
        close = getattr(self._batches, "close", None)
        if close is not None:
            with observing(self._monitor.observer):
                close()
            self._end()

    def __next__(self) -> Any:
        observer = self._monitor.observer
        return self._next() if observer is None else self._counted(observer)

    def _counted(self, observer: Observer) -> object:
        """Return the next batch, and add to counts and times."""
        if self._given_at is not None:
            observer.add(MODEL, observer.clock() - self._given_at)
        try:
            with observing(observer), observer.timed(LOOP):
                batch = self._next()
        except BaseException:
            self._end()
            raise
        assert self._iteration is not None  # noqa: S101 begun in _next
        observer.count(batches=1, batch_rows=self._iteration.rows_of_last)
        self._monitor.publish()
        self._given_at = observer.clock()
        return batch

    def _end(self) -> None:
        self._given_at = None
        self._monitor.publish(at_once=True)

    def _next(self) -> object:
        if self._iteration is None:
            self.begin()
        batch = next(self._batches)
        assert self._iteration is not None  # noqa: S101 begun above
        self._iteration.given += 1
        return batch
