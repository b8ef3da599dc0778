"""Progress by epoch, for ``state_dict``, ``load_state_dict`` and ``len``.

A process that iterates itself counts the batches it gives. One whose DataLoader workers iterate knows from the shared
counter which epoch they are in and how many they are, and is told how many batches were taken.
"""

from collections.abc import Callable

from torch.utils.data import get_worker_info

from scdataset._arguments import optional_whole, whole
from scdataset._tables import counted
from scdataset.dataset.epoch_counter import Begun, SharedEpochCounter
from scdataset.dataset.iteration import RankIteration
from scdataset.dataset.state import SavedState
from scdataset.errors import ArgumentValueError, StateError
from scdataset.schedule.progress import Progress, RemainingEpoch
from scdataset.strategy.keys import MAX_SEED

__all__ = ["EpochTracker"]

RemainingAfter = Callable[[Progress, int], RemainingEpoch]
"""Return the rest of an epoch after some progress, for a number of workers."""


class EpochTracker:
    """Track which epoch one dataset is in, and how far, in one process."""

    def __init__(self) -> None:
        self.counter = SharedEpochCounter()
        self._resumed = False
        self._iteration: RankIteration | None = None
        self._loaded: SavedState | None = None

    def begin(self, remaining_after: Callable[[Begun], RemainingEpoch]) -> RankIteration:
        """Begin the next iteration of this process; ``remaining_after`` gives the rest of its epoch."""
        info = get_worker_info()
        loaded, self._loaded = self._loaded, None
        begun = self.counter.start(None if loaded is None else loaded.progress)
        remaining = remaining_after(begun)
        part, before = remaining.part_of(0 if info is None else info.id)
        if loaded is not None and loaded.worker is not None:
            part, before = loaded.worker[0], loaded.worker[3]
        self._iteration = RankIteration(begun.progress, remaining, part, before)
        return self._iteration

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
            upcoming, _ = self.counter.peek()
            if upcoming.chain:
                message = (
                    f"{name} was assigned, and the loaded state goes on in the middle of epoch {upcoming.epoch}, which "
                    "would be another epoch then. Assign it before the state is saved and loaded, or set_epoch first."
                )
                raise StateError(message)
            self._resumed = False
        self.counter.revise(seed, reorders=reorders)

    def total(self, remaining_after: RemainingAfter) -> int | None:
        """Return the length of an epoch that was resumed, with the batches consumed before; None for a whole epoch."""
        if not self._resumed:
            return None
        upcoming, latest = self.counter.peek()
        if latest is None:
            return remaining_after(upcoming, 0).total
        gave_all = latest.n_workers == 0 and self._iteration is not None and self._iteration.gave_all
        return None if gave_all else remaining_after(latest.progress, latest.n_workers).total

    def progress(
        self, remaining_after: RemainingAfter, batches: int | None, epoch: int | None, num_workers: int | None
    ) -> Progress:
        """Return the progress after ``batches`` of an iteration, or after those that this process gave."""
        batches = optional_whole("batches", batches, minimum=0)
        num_workers = optional_whole("num_workers", num_workers, minimum=0)
        upcoming, latest = self.counter.peek()
        if epoch is not None:
            known = (upcoming, *(() if latest is None else (latest.progress,)))
            epoch = whole("epoch", epoch, minimum=0, maximum=MAX_SEED)
            begun = next((progress for progress in known if progress.epoch == epoch), Progress(epoch))
            return _after(remaining_after(begun, num_workers or 0), batches or 0)
        if latest is None:
            if batches:
                message = f"batches={batches}, and no iteration has begun; say of which epoch: epoch={upcoming.epoch}."
                raise ArgumentValueError(message)
            return upcoming
        if batches is None:
            return self._counted(latest)
        _refuse_outdated(latest)
        return self._told(latest, remaining_after, batches, num_workers)

    def _counted(self, latest: Begun) -> Progress:
        if latest.n_workers or self._iteration is None:
            message = (
                f"The last iteration runs in {counted(latest.n_workers, 'DataLoader worker')}, which read ahead; only "
                "your loop knows how many batches it took. Write state_dict(batches) with the number it took from "
                "this loader, or use torchdata's StatefulDataLoader."
            )
            raise ArgumentValueError(message)
        progress = self._iteration.progress()
        if progress.chain:
            _refuse_outdated(latest)
        return progress

    def _told(self, latest: Begun, remaining_after: RemainingAfter, batches: int, num_workers: int | None) -> Progress:
        if num_workers not in (None, latest.n_workers):
            message = (
                f"num_workers={num_workers}, and the last iteration has {latest.n_workers}; leave it out, or say which "
                "epoch is meant with epoch=."
            )
            raise ArgumentValueError(message)
        if batches == 0 and (latest.n_workers or (self._iteration is not None and self._iteration.is_over)):
            message = (
                f"batches=0 does not tell whether epoch {latest.progress.epoch} has just begun or the one after it is "
                "about to; say which with epoch=."
            )
            raise ArgumentValueError(message)
        return _after(remaining_after(latest.progress, latest.n_workers), batches)

    def worker_part(self, world_size: int) -> tuple[Progress, tuple[int, int, int, int]]:
        """Return the progress at which a DataLoader worker's iteration began, and the position in its part."""
        if self._iteration is None:
            message = "This DataLoader worker has not begun; take its state after the first batch was asked for."
            raise StateError(message)
        at = self._iteration
        return at.begun, (at.part, at.remaining.n_workers, world_size, at.before + at.given)

    def load(self, saved: SavedState, seed: int, remaining_after: RemainingAfter) -> None:
        """Go on from a state in the next iteration.

        Raises
        ------
        StateError
            While an iteration runs; for the state of a DataLoader worker elsewhere than in its like, and the other way
            round; if more was consumed than there is.
        """
        if self._iteration is not None and self._iteration.is_running and not self._iteration.gave_all:
            message = (
                f"Epoch {self._iteration.begun.epoch} is being iterated over, "
                f"{counted(self._iteration.given, 'batch')} in, and would go on as it is. Load the state before the "
                "loop, or end that iteration: finish it, or drop its iterator."
            )
            raise StateError(message)
        info = get_worker_info()
        here = None if info is None else (info.num_workers, remaining_after(Progress(0), 0).partition.world_size)
        there = None if saved.worker is None else saved.worker[1:3]
        if here != there:
            message = (
                f"The state is that of {_named(there)} and would be loaded by {_named(here)}. Where workers or ranks "
                "change, save dataset.state_dict(batches) in the main process, with the batches taken from the loader, "
                "and load it into the dataset before the loader is made."
            )
            raise StateError(message)
        remaining_after(saved.progress, 0 if info is None else info.num_workers)
        self._iteration, self._resumed = None, True
        if info is None:
            self.counter.set(saved.progress, seed)
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


def _after(remaining: RemainingEpoch, batches: int) -> Progress:
    if batches > len(remaining):
        message = (
            f"batches={batches}, and {len(remaining)} are left of epoch {remaining.before.epoch} for this rank; "
            "give the batches that were taken from this loader since it began, not since the epoch did."
        )
        raise ArgumentValueError(message)
    return remaining.after(batches)


def _named(owner: tuple[int, int] | None) -> str:
    if owner is None:
        return "a whole rank"
    return f"a worker of a DataLoader ({counted(owner[0], 'worker')}, {counted(owner[1], 'rank')})"
