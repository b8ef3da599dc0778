"""Which epoch an iteration is, in the main process and in every DataLoader worker.

A DataLoader iterates over the dataset in its workers, which are copies: fresh ones each epoch, or persistent ones. None
of them can count epochs for the others, so the count lives in a small file that all processes below one main process
share, under a lock that the system frees if its holder dies.

    iteration 1   worker 0 arrives: takes epoch 0     worker 1 arrives: joins epoch 0
    iteration 2   worker 1 arrives: takes epoch 1     worker 0 arrives: joins epoch 1

The workers of one iteration know each other by the DataLoader's base seed; a worker that arrives for the second time
with the same one has begun another iteration.
"""

import fcntl
import json
import multiprocessing
import os
import secrets
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import get_spawning_popen
from pathlib import Path
from typing import Any

from torch.utils.data import get_worker_info

__all__ = ["EpochClock"]

_KEPT_ITERATIONS = 64
"""Iterations that wait for workers: more are only left by workers that were killed before they began."""


class EpochClock:
    """Counts the epochs of one dataset, for all processes that iterate over it together."""

    def __init__(self, first: int = 0) -> None:
        self._begin(first, secrets.token_hex(8))

    def _begin(self, first: int, name: str) -> None:
        self._next = first
        self._name = name
        weakref.finalize(self, _remove, name)

    def set(self, epoch: int) -> None:
        """Make ``epoch`` the next one, also for workers that are running already."""
        self._next = epoch
        with self._shared() as state:
            state["next"] = epoch

    def start(self) -> int:
        """Return the epoch of the iteration that begins here."""
        info = get_worker_info()
        with self._shared() as state:
            if info is None:
                epoch = _take(state)
                self._next = state["next"]
            else:
                epoch = _join(state, info.seed - info.id, info.id, info.num_workers)
        return epoch

    def __getstate__(self) -> dict[str, Any]:
        # Only a worker that is being started goes on with this clock; any other copy counts for itself.
        with self._shared() as state:
            next_epoch = state["next"]
        return {"next": next_epoch, "name": self._name if get_spawning_popen() is not None else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin(state["next"], state["name"] or secrets.token_hex(8))

    @contextmanager
    def _shared(self) -> Iterator[dict[str, Any]]:
        """Give the shared state, and write back what becomes of it."""
        descriptor = os.open(_path(self._name, _main_process()), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = json.loads(file.read() or json.dumps({"next": self._next, "running": []}))
            yield state
            file.seek(0)
            file.write(json.dumps(state))
            file.truncate()


def _take(state: dict[str, Any]) -> int:
    epoch: int = state["next"]
    state["next"] = epoch + 1
    return epoch


def _join(state: dict[str, Any], base_seed: int, worker: int, n_workers: int) -> int:
    """Return the epoch of the iteration that this worker belongs to, beginning it if it is the first to arrive."""
    running: list[dict[str, Any]] = state["running"]
    for iteration in running:
        if iteration["base_seed"] == base_seed and worker not in iteration["arrived"]:
            break
    else:
        iteration = {"base_seed": base_seed, "epoch": _take(state), "arrived": []}
        running.append(iteration)
    iteration["arrived"].append(worker)
    state["running"] = [each for each in running if len(each["arrived"]) < n_workers][-_KEPT_ITERATIONS:]
    return int(iteration["epoch"])


def _main_process() -> int:
    """Return the process id of the main process: of this one, or of the one that started this worker."""
    info = get_worker_info()
    parent = multiprocessing.parent_process()
    if info is None or parent is None or getattr(info, "worker_method", "multiprocessing") == "thread":
        return os.getpid()
    return parent.pid or os.getpid()


def _path(name: str, main_process: int) -> Path:
    return Path(tempfile.gettempdir()) / f"scdataset-epochs-{name}-{main_process}.json"


def _remove(name: str) -> None:
    with suppress(OSError):
        _path(name, os.getpid()).unlink()
