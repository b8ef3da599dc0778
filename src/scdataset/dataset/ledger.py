"""Progress by epoch, for ``state_dict``, ``load_state_dict`` and ``len``.

A process that iterates itself counts the batches it gives. One whose DataLoader workers iterate knows from the shared
clock which epoch they are in and how many they are, and is told how many batches were taken.
"""

from collections.abc import Callable

from torch.utils.data import get_worker_info

from scdataset._arguments import optional_whole, whole
from scdataset.dataset.epochs import Begun, EpochClock
from scdataset.dataset.iteration import Pass
from scdataset.dataset.state import SavedState
from scdataset.errors import ArgumentValueError, StateError
from scdataset.schedule.progress import Course, Progress
from scdataset.strategy.keys import MAX_SEED

__all__ = ["Ledger"]

CourseOf = Callable[[Progress, int], Course]
"""Gives the rest of an epoch after some progress, for so many workers."""


class Ledger:
    """The books of one dataset in one process."""

    def __init__(self) -> None:
        self.clock = EpochClock()
        self._resumed = False
        self._pass: Pass | None = None
        self._loaded: SavedState | None = None

    def begin(self, course_of: Callable[[Begun], Course]) -> Pass:
        """Begin the next iteration of this process; ``course_of`` gives the rest of its epoch."""
        info = get_worker_info()
        loaded, self._loaded = self._loaded, None
        begun = self.clock.start(None if loaded is None else loaded.progress)
        course = course_of(begun)
        part, before = course.part_of(0 if info is None else info.id)
        if loaded is not None and loaded.worker is not None:
            part, before = loaded.worker[0], loaded.worker[3]
        self._pass = Pass(begun.progress, course, part, before)
        return self._pass

    def change(self, name: str, seed: int, *, reorders: bool) -> None:
        """Note that an option of the dataset was assigned.

        Parameters
        ----------
        name
            The option.
        seed
            Seed of the dataset.
        reorders
            Whether epochs are others from now on.

        Raises
        ------
        StateError
            If a loaded state waits to go on in the middle of an epoch, which would be another one.
        """
        if get_worker_info() is not None:  # a worker_init_fn, which changes the worker's own copy
            return
        if reorders:
            upcoming, _ = self.clock.peek()
            if upcoming.chain:
                message = (
                    f"{name} was assigned, and the loaded state goes on in the middle of epoch {upcoming.epoch}, which "
                    "would be another epoch then. Assign it before the state is saved and loaded, or set_epoch first."
                )
                raise StateError(message)
            self._resumed = False
        self.clock.revise(seed, reorders=reorders)

    def total(self, course_of: CourseOf) -> int | None:
        """Return the length of an epoch that was resumed, with the batches consumed before; None for a whole epoch."""
        if not self._resumed:
            return None
        upcoming, latest = self.clock.peek()
        if latest is None:
            return course_of(upcoming, 0).total
        gave_all = latest.n_workers == 0 and self._pass is not None and self._pass.gave_all
        return None if gave_all else course_of(latest.progress, latest.n_workers).total

    def progress(
        self, course_of: CourseOf, batches: int | None, epoch: int | None, num_workers: int | None
    ) -> Progress:
        """Return the progress after ``batches`` of an iteration, or after those that this process gave."""
        batches = optional_whole("batches", batches, minimum=0)
        num_workers = optional_whole("num_workers", num_workers, minimum=0)
        upcoming, latest = self.clock.peek()
        if epoch is not None:
            known = (upcoming, *(() if latest is None else (latest.progress,)))
            epoch = whole("epoch", epoch, minimum=0, maximum=MAX_SEED)
            begun = next((progress for progress in known if progress.epoch == epoch), Progress(epoch))
            return _after(course_of(begun, num_workers or 0), batches or 0)
        if latest is None:
            if batches:
                message = f"batches={batches}, and no iteration has begun; say of which epoch: epoch={upcoming.epoch}."
                raise ArgumentValueError(message)
            return upcoming
        if batches is None:
            return self._counted(latest)
        _refuse_outdated(latest)
        return self._told(latest, course_of, batches, num_workers)

    def _counted(self, latest: Begun) -> Progress:
        if latest.n_workers or self._pass is None:
            message = (
                f"The last iteration runs in {latest.n_workers} DataLoader workers, which read ahead; only your loop "
                "knows how many batches it took. Write state_dict(batches) with the number it took from this loader, "
                "or use torchdata's StatefulDataLoader."
            )
            raise ArgumentValueError(message)
        progress = self._pass.progress()
        if progress.chain:
            _refuse_outdated(latest)
        return progress

    def _told(self, latest: Begun, course_of: CourseOf, batches: int, num_workers: int | None) -> Progress:
        if num_workers not in (None, latest.n_workers):
            message = (
                f"num_workers={num_workers}, and the last iteration has {latest.n_workers}; leave it out, or say which "
                "epoch is meant with epoch=."
            )
            raise ArgumentValueError(message)
        if batches == 0 and (latest.n_workers or (self._pass is not None and self._pass.is_over)):
            message = (
                f"batches=0 does not tell whether epoch {latest.progress.epoch} has just begun or the one after it is "
                "about to; say which with epoch=."
            )
            raise ArgumentValueError(message)
        return _after(course_of(latest.progress, latest.n_workers), batches)

    def worker_part(self, world_size: int) -> tuple[Progress, tuple[int, int, int, int]]:
        """Return what a DataLoader worker's iteration began with, and how far its part has come."""
        if self._pass is None:
            message = "This DataLoader worker has not begun; take its state after the first batch was asked for."
            raise StateError(message)
        at = self._pass
        return at.begun, (at.part, at.course.n_workers, world_size, at.before + at.given)

    def load(self, saved: SavedState, seed: int, course_of: CourseOf) -> None:
        """Go on from a state in the next iteration.

        Raises
        ------
        StateError
            While an iteration runs; for the state of a DataLoader worker elsewhere than in its like, and the other way
            round; if more was consumed than there is.
        """
        if self._pass is not None and self._pass.is_running and not self._pass.gave_all:
            message = (
                f"Epoch {self._pass.begun.epoch} is being iterated over, {self._pass.given} batches in, and would go "
                "on as it is. Load the state before the loop, or end that iteration: finish it, or drop its iterator."
            )
            raise StateError(message)
        info = get_worker_info()
        here = None if info is None else (info.num_workers, course_of(Progress(0), 0).partition.world_size)
        there = None if saved.worker is None else saved.worker[1:3]
        if here != there:
            message = (
                f"The state is that of {_named(there)} and would be loaded by {_named(here)}. Where workers or ranks "
                "change, save dataset.state_dict(batches) in the main process, with the batches taken from the loader, "
                "and load it into the dataset before the loader is made."
            )
            raise StateError(message)
        course_of(saved.progress, 0 if info is None else info.num_workers)
        self._pass, self._resumed = None, True
        if info is None:
            self.clock.set(saved.progress, seed)
        else:
            self._loaded = saved


def _refuse_outdated(latest: Begun) -> None:
    if latest.is_outdated:
        message = (
            f"The order was changed by an assignment since epoch {latest.progress.epoch} began, so that a state of it "
            "could not be loaded. Save it before the assignment, or when the next epoch has begun; "
            f"state_dict(0, epoch={latest.progress.epoch + 1}) begins with that."
        )
        raise StateError(message)


def _after(course: Course, batches: int) -> Progress:
    if batches > len(course):
        message = (
            f"batches={batches}, and {len(course)} are left of epoch {course.before.epoch} for this rank; give the "
            "batches that were taken from this loader since it began, not since the epoch did."
        )
        raise ArgumentValueError(message)
    return course.after(batches)


def _named(owner: tuple[int, int] | None) -> str:
    return "a whole rank" if owner is None else f"one of {owner[0]} DataLoader workers of one of {owner[1]} ranks"
