"""Counts and times of the loop from rows to batches, for `scDataset.stats`; those of workers included.

    consumer    |- wait -|- cut -|- batch_transform -|      model      |- cut -|- batch_transform -|   model   |
    background  |------- window k + 1 -------|- fetch_transform that runs ahead -|---- window k + 2 ----|

Nothing is counted before somebody asks. Each process counts by itself, and DataLoader workers write their totals to
files of a folder that belongs to the main process, which adds them up.
"""

import json
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from multiprocessing.context import get_spawning_popen
from pathlib import Path

from torch.utils.data import get_worker_info

from scdataset._compiled import compile_seconds
from scdataset._processes import abandoned, name_of_process, new_name
from scdataset.engine.observer import Observer

__all__ = ["AHEAD", "COMPILE", "LOOP", "MODEL", "WAIT", "WAIT_FOR_BATCHES", "WINDOW", "Monitor", "Totals", "waiting"]

LOOP = "loop"
"""Phase from when a batch is asked for until it is given."""

MODEL = "model"
"""Phase from when a batch is given until the next is asked for."""

WAIT = "wait"
"""Phase of the loop in which it waits for a window."""

WINDOW = "window"
"""Phase of reading a window, in the background where windows are read ahead."""

AHEAD = "ahead"
"""Phase of a ``fetch_transform`` of windows in the background."""

WAIT_FOR_BATCHES = "wait for batches"
"""Phase of the loop in which it waits for batches that a ``fetch_transform`` makes in the background."""

COMPILE = "compile"
"""Seconds of waiting for a window in which functions were compiled, in whichever thread."""

_KIND = "scdataset-stats"
"""Prefix of the names of its folders."""

_EVERY = 0.2
"""Seconds between two times that a worker writes its totals."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of one process or several.

    Attributes
    ----------
    counts
        Numbers by name: those of `ReadCounts`, ``batches``, ``batch_rows``, ``windows``, ``window_rows``.
    seconds, whole
        Seconds by phase, without and with those of phases inside it, summed over threads and processes.
    levels
        Numbers that are as they are now: ``rows_in_flight``.
    elapsed
        Seconds by the clock in iterations: those of workers that iterate together, once.
    processes
        Processes that iterated.
    """

    counts: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    whole: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    elapsed: float = 0.0
    processes: int = 0

    @classmethod
    def from_observer(cls, observer: Observer, n_together: int) -> "Totals":
        """Return the totals of this process, one of ``n_together`` that iterate together."""
        seconds, whole = observer.seconds(), observer.whole_seconds()
        elapsed = (whole.get(LOOP, 0.0) + seconds.get(MODEL, 0.0)) / n_together
        counted = observer.counted()
        return cls(counted, seconds, whole, observer.levels(), elapsed, int(bool(counted.get("batches"))))

    def plus(self, other: "Totals") -> "Totals":
        """Return the sum."""
        return Totals(
            _sum(self.counts, other.counts),
            _sum(self.seconds, other.seconds),
            _sum(self.whole, other.whole),
            _sum(self.levels, other.levels),
            self.elapsed + other.elapsed,
            self.processes + other.processes,
        )


def _sum(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def waiting(observer: Observer | None) -> AbstractContextManager[None]:
    """Time how long the loop waits for a window, and how much of that is compiling, if it is observed."""
    return nullcontext() if observer is None else _timed_wait(observer)


@contextmanager
def _timed_wait(observer: Observer) -> Iterator[None]:
    compiled, begun = compile_seconds(), observer.clock()
    with observer.timed(WAIT):
        yield
    observer.add(COMPILE, min(compile_seconds() - compiled, observer.clock() - begun))


class Monitor:
    """The observer of one dataset's iterations, once it was asked for.

    Attributes
    ----------
    observer
        Counts reads and other work; None where nobody asked.
    """

    def __init__(self) -> None:
        self.observer: Observer | None = None
        self._folder: Path | None = None
        self._main = os.getpid()
        self._token = (0, "")
        self._written = 0.0

    def begin(self) -> None:
        """Count from now on; it does nothing the second time."""
        if self.observer is None:
            _remove_abandoned()
            name = new_name(_KIND)
            self._folder = _folder(name)
            weakref.finalize(self, _remove, name)
            self.observer = Observer()

    def totals(self) -> Totals:
        """Return the totals since it began, of this process and its workers."""
        total = self._own()
        for path in sorted(self._folder.glob("*.json")) if self._folder is not None else ():
            with suppress(OSError, ValueError):
                total = total.plus(Totals(**json.loads(path.read_text(encoding="utf-8"))))
        return total

    def publish(self, *, at_once: bool = False) -> None:
        """Write the totals of a worker process for the main process, now and then."""
        if self.observer is None or self._folder is None or os.getpid() == self._main:
            return
        now = self.observer.clock()
        if at_once or self._token[0] != os.getpid() or now - self._written > _EVERY:
            self._written = now
            if self._token[0] != os.getpid():
                self._token = os.getpid(), secrets.token_hex(8)
            with suppress(OSError):  # the main process has ended, or the disk is full: statistics are no reason to stop
                _write(self._folder / f"{self._token[1]}.json", self._own())

    def _own(self) -> Totals:
        info = get_worker_info()
        together = info.num_workers if info is not None and os.getpid() != self._main else 1
        return Totals() if self.observer is None else Totals.from_observer(self.observer, together)

    def __getstate__(self) -> dict[str, object]:
        # Only a worker that is being started counts for this dataset; any other copy begins anew.
        return {"counts": (self._folder, self._main) if get_spawning_popen() is not None else (None, 0)}

    def __setstate__(self, state: dict[str, tuple[Path | None, int]]) -> None:
        self.__init__()  # type: ignore[misc]  # as a new one, but for the folder
        folder, main = state["counts"]
        if folder is not None:
            self.observer, self._folder, self._main = Observer(), folder, main


def _write(path: Path, totals: Totals) -> None:
    """Write totals so that a reader finds the old ones or the new ones, whole."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(totals)), encoding="utf-8")
    new.replace(path)


def _folder(name: str) -> Path:
    return Path(tempfile.gettempdir()) / name_of_process(name, os.getpid())


def _remove(name: str) -> None:
    """Remove the folder, in the process that it belongs to: a forked one has none of this name."""
    shutil.rmtree(_folder(name), ignore_errors=True)


@cache
def _remove_abandoned() -> None:
    """Remove the folders of main processes that exist no longer, once in a process."""
    for path in abandoned(Path(tempfile.gettempdir()), _KIND):
        shutil.rmtree(path, ignore_errors=True)
