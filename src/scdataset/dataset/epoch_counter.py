"""Count epochs, for the main process and every DataLoader worker together.

A DataLoader iterates over the dataset in its workers, which are copies: fresh ones each epoch, or persistent ones. None
of them can count epochs for the others, so the count lives in a small file that all processes below one main process
share, under a lock that the system frees if its holder dies. A main process that has started none counts by itself.

    iteration 1   worker 0 arrives: takes epoch 0     worker 1 arrives: joins epoch 0
    iteration 2   worker 1 arrives: takes epoch 1     worker 0 arrives: joins epoch 1

The workers of one iteration know each other by the DataLoader's base seed; a worker that arrives for the second time
with the same one has begun another iteration. The progress of a resumed epoch travels the same way, and the seed that
came with it: workers may be running already when a state is loaded.

A main process that is killed leaves its files behind. The first counter of another one removes them.
"""

import json
import multiprocessing
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import get_spawning_popen
from pathlib import Path
from typing import TypedDict

from filelock import FileLock
from torch.utils.data import get_worker_info

from scdataset._processes import abandoned, name_of_process, new_name
from scdataset.errors import LoaderError
from scdataset.schedule.progress import Generation, Progress

__all__ = ["Begun", "SharedEpochCounter"]

_MAX_WAITING = 64
"""Iterations that wait for workers: more are only left by workers that were killed before they began."""

_KIND = "scdataset-epochs"
"""Prefix of the names of its files."""

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)

_POLL = 0.001
"""Seconds between two tries to get the lock, which is held for less than that."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An iteration that has begun.

    Attributes
    ----------
    progress
        The epoch, and how much of it had been consumed before.
    n_workers
        DataLoader workers that iterate, 0 for the main process itself.
    seed
        Seed that came with a loaded state, or None for the dataset's own.
    is_outdated
        Whether the dataset has been given another order since.
    """

    progress: Progress
    n_workers: int
    seed: int | None = None
    is_outdated: bool = False


class _Listed(TypedDict):
    """Progress, as it is in the file."""

    epoch: int
    chain: list[list[int]]


class _Latest(TypedDict, total=False):
    """The iteration that began last."""

    progress: _Listed
    n_workers: int
    is_outdated: bool


class _Iteration(TypedDict):
    """An iteration that waits for workers, and those that have arrived."""

    base_seed: int
    progress: _Listed
    arrived: list[int]


class _State(TypedDict):
    """The state that all processes share."""

    next: _Listed
    seed: int | None
    revision: int
    latest: _Latest | None
    running: list[_Iteration]


class _Pickled(TypedDict):
    """A counter for another process."""

    next: _Listed
    seed: int | None
    revision: int
    name: str | None


class SharedEpochCounter:
    """Counts the epochs of one dataset, for all processes that iterate over it together."""

    def __init__(self) -> None:
        _remove_abandoned()
        self._begin(Progress(0), None, new_name(_KIND), 0)

    def _begin(self, first: Progress, seed: int | None, name: str, revision: int) -> None:
        self._name = name
        self._revision = revision
        self._process = os.getpid()
        self._state: _State = {
            "next": _listed(first),
            "seed": seed,
            "revision": revision,
            "latest": None,
            "running": [],
        }
        self._alone: threading.RLock | None = threading.RLock()
        _counting_alone.add(self)
        weakref.finalize(self, _remove, name)

    def share(self) -> None:
        """Count in the file from now on: a process is about to be started that may iterate."""
        with self._alone or nullcontext():
            self._alone = None
            _counting_alone.discard(self)

    def set(self, progress: Progress, seed: int | None = None) -> None:
        """Make ``progress`` the next to go on from, also for workers that are running already."""
        with self._shared() as state:
            state["next"], state["seed"], state["latest"] = _listed(progress), seed or state["seed"], None

    def set_epoch(self, epoch: int) -> None:
        """Make ``epoch`` the next one; if it is that already, its progress stays."""
        upcoming, _ = self.peek()
        if epoch != upcoming.epoch or not upcoming.chain:
            self.set(Progress(epoch))

    def revise(self, seed: int, *, reorders: bool) -> None:
        """Note that the dataset of this process is not as it was when workers got their copies of it.

        Parameters
        ----------
        seed
            Its seed, which takes the place of one that came with a loaded state.
        reorders
            Whether epochs are others from now on, so that the last iteration says nothing about the next.
        """
        with self._shared() as state:
            self._revision = state["revision"] = state["revision"] + 1
            if state["seed"] is not None:
                state["seed"] = seed
            if reorders and state["latest"]:
                state["latest"]["is_outdated"] = True

    def peek(self) -> tuple[Progress, Begun | None]:
        """Return the progress that the next iteration goes on from, and the one that began last since `set`."""
        with self._shared() as state:
            latest = state["latest"]
            begun = (
                None
                if latest is None
                else Begun(
                    _progress(latest["progress"]), latest["n_workers"], state["seed"], latest.get("is_outdated", False)
                )
            )
            return _progress(state["next"]), begun

    def start(self, loaded: Progress | None = None) -> Begun:
        """Return the epoch of the iteration that begins here.

        Parameters
        ----------
        loaded
            Progress loaded in a DataLoader worker, in place of that which is next for the main process.
        """
        info = get_worker_info()
        with self._shared() as state:
            n_workers = 0 if info is None else info.num_workers
            if info is None:
                progress = _take(state, 0)
            else:
                self._refuse_old_copy(state["revision"])
                progress = _join(state, info.seed - info.id, info.id, n_workers, loaded)
            return Begun(_progress(progress), n_workers, state["seed"])

    def _refuse_old_copy(self, revision: int) -> None:
        if revision != self._revision:
            message = (
                "An attribute of the dataset was assigned after the workers of this DataLoader were started, and they "
                "have a copy with the old value. Make a new DataLoader, or leave out persistent_workers=True."
            )
            raise LoaderError(message)

    def __getstate__(self) -> _Pickled:
        # Only a worker that is being started goes on with this counter; any other copy counts for itself.
        starts = get_spawning_popen() is not None
        if starts:
            self.share()
        with self._shared() as state:
            first, seed = state["next"], state["seed"]
        return {"next": first, "seed": seed, "revision": self._revision, "name": self._name if starts else None}

    def __setstate__(self, state: _Pickled) -> None:
        self._begin(_progress(state["next"]), state["seed"], state["name"] or new_name(_KIND), state["revision"])
        if state["name"] is not None:
            self.share()

    @contextmanager
    def _shared(self) -> Iterator[_State]:
        """Give the state that all processes share, to be changed in place."""
        if get_worker_info() is not None:  # which may be a thread of the process that counts alone
            self.share()
        with self._alone or nullcontext():
            if self._alone is not None:  # still, now that no thread shares it
                yield self._state
                return
        with _written(_path(self._name, _main_process()), self._first()) as self._state:
            yield self._state

    def _first(self) -> _State:
        """Return the first state of a file: a process that is no worker of the one that iterated begins by itself."""
        return self._state if self._process == os.getpid() else {**self._state, "latest": None, "running": []}


_counting_alone: weakref.WeakSet[SharedEpochCounter] = weakref.WeakSet()
"""Counters of this process that no other process has a copy of."""


def _share_all() -> None:
    for counter in list(_counting_alone):
        counter.share()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_share_all)


@contextmanager
def _written(path: Path, first: _State) -> Iterator[_State]:
    """Give the state in a file, or ``first`` if there is none yet, and write it back changed."""
    with FileLock(_lock(path), poll_interval=_POLL), os.fdopen(os.open(path, _FLAGS, 0o600), "r+") as file:
        written = file.read()
        state = json.loads(written) if written else first
        yield state
        changed = json.dumps(state)
        if changed != written:
            file.seek(0)
            file.write(changed)
            file.truncate()


def _listed(progress: Progress) -> _Listed:
    return {"epoch": progress.epoch, "chain": [[g.world_size, g.n_workers, g.taken] for g in progress.chain]}


def _progress(listed: _Listed) -> Progress:
    return Progress(listed["epoch"], tuple(Generation(*link) for link in listed["chain"]))


def _take(state: _State, n_workers: int) -> _Listed:
    progress = state["next"]
    state["next"] = _listed(Progress(progress["epoch"] + 1))
    state["latest"] = {"progress": progress, "n_workers": n_workers}
    return progress


def _join(state: _State, base_seed: int, worker: int, n_workers: int, loaded: Progress | None) -> _Listed:
    """Return the progress of the iteration that this worker belongs to, beginning it if it is the first to arrive."""
    running = state["running"]
    for iteration in running:
        if iteration["base_seed"] == base_seed and worker not in iteration["arrived"]:
            break
    else:
        if loaded is not None:
            state["next"] = _listed(loaded)
        iteration = {"base_seed": base_seed, "progress": _take(state, n_workers), "arrived": []}
        running.append(iteration)
    iteration["arrived"].append(worker)
    state["running"] = [each for each in running if len(each["arrived"]) < n_workers][-_MAX_WAITING:]
    return iteration["progress"]


def _main_process() -> int:
    """Return the process id of the main process: of this one, or of the one that started this worker."""
    info = get_worker_info()
    parent = multiprocessing.parent_process()
    if info is None or parent is None or getattr(info, "worker_method", "multiprocessing") == "thread":
        return os.getpid()
    return parent.pid or os.getpid()


def _path(name: str, main_process: int) -> Path:
    return Path(tempfile.gettempdir()) / f"{name_of_process(name, main_process)}.json"


@cache
def _remove_abandoned() -> None:
    """Remove the files of main processes that exist no longer, once in a process."""
    for path in abandoned(Path(tempfile.gettempdir()), _KIND, (".json", ".lock")):
        with suppress(OSError):
            path.unlink()  # a folder of this name stays


def _remove(name: str) -> None:
    path = _path(name, os.getpid())
    for file in (path, _lock(path)):
        with suppress(OSError):
            file.unlink()


def _lock(path: Path) -> Path:
    return path.with_suffix(".lock")
