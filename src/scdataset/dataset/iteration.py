"""One pass over the batches of a rank, or over a DataLoader worker's part of them, and how far it has come."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scdataset.schedule.dealing import Dealing
from scdataset.schedule.progress import Course, Progress

__all__ = ["Iteration", "Pass"]


@dataclass(slots=True)
class Pass:
    """The part of an epoch that an iteration yields, and how many batches it gave.

    Attributes
    ----------
    begun
        Progress when it began.
    course
        The rank's batches from there on.
    part
        Which worker's part of the steps is yielded here, from 0.
    before
        Batches of the part that were given before.
    given
        Batches that were given since.
    is_running
        Whether more may come.
    """

    begun: Progress
    course: Course
    part: int
    before: int
    given: int = 0
    is_running: bool = True

    @property
    def dealing(self) -> Dealing:
        """How the steps of the rank are dealt to workers."""
        return self.course.dealing

    def fetches(self, n_at_once: int = 1) -> Iterator[list[range]]:
        """Yield the batches of each fetch, as runs, or of several fetches at once."""
        return self.course.partition.fetches_of_part(self.dealing, self.part, self.before, n_at_once)

    @property
    def gave_all(self) -> bool:
        """Whether the last batch of this rank was given; not all hosts ask for one more to see the end."""
        return self.given == len(self.course)

    @property
    def is_over(self) -> bool:
        """Whether all was given and the end was seen, by which a rank that has one batch less knows it."""
        return self.gave_all and not self.is_running

    def progress(self) -> Progress:
        """Return the progress in the epoch, where this pass is all of it."""
        return Progress(self.begun.epoch + 1) if self.is_over else self.course.after(self.given)


class Iteration(Iterator[Any]):
    """An iterator that begins when the first batch is asked for, and counts batches as it gives them.

    Parameters
    ----------
    begin
        Begins the pass and returns it with its batches.
    """

    def __init__(self, begin: Callable[[], tuple[Pass, Iterator[Any]]]) -> None:
        self._begin = begin
        self._pass: Pass | None = None
        self._batches: Iterator[Any] = iter(())

    def begin(self) -> None:
        """Begin now; it does nothing the second time."""
        if self._pass is None:
            self._pass, self._batches = self._begin()

    def close(self) -> None:
        """End it, as a generator: what is being read ahead ends, and there are no more batches."""
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()

    def __next__(self) -> Any:
        if self._pass is None:
            self.begin()
        batch = next(self._batches)
        assert self._pass is not None  # noqa: S101 begun above
        self._pass.given += 1
        return batch
