"""Counts of the work of reads: bytes, requests, chunks, and seconds by phase.

    with observing(observer):      in the thread that reads
        collection.read(rows)      its threads report to the same observer

The observer belongs to the call, not to the collection, so that two datasets over one collection are told apart.
Where nobody observes, a phase costs one look at a context variable, and no clock is read.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = [
    "ANSWER",
    "BODY",
    "DECODE",
    "READ",
    "SCATTER",
    "WHOLE",
    "Observer",
    "ReadCounts",
    "note",
    "observed",
    "observer_here",
    "observing",
    "set_level",
]

READ = "read"
"""Phase of getting bytes; with plain bytes, of copying them to their places too, which is the same compiled loop."""

DECODE = "decode"
"""Phase of decoding chunks, and of reading them where only a library can."""

SCATTER = "scatter"
"""Phase of copying decoded elements to their places and types."""

ANSWER, BODY = "answer", "body"
"""Phases of a request to an object store: until its answer begins, and until all of its bytes are there."""

WHOLE = "whole"
"""Phase of the thread that asks for rows, all the others included that run meanwhile."""


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """Totals of reads, all zero where nothing was read.

    Attributes
    ----------
    reads, rows
        Calls that read rows of a matrix, and the rows that they returned.
    bytes
        Bytes read, gaps between rows included that cost less than another request. Of chunks that only a library can
        read, their bytes once decoded.
    requests
        Calls to the system, or ranges asked of a source.
    fetches, fetched_bytes
        Requests to an object store, and their bytes, which come in blocks; 0 for those that are cached.
    chunks
        Encoded chunks that were decoded; a chunk never written, which has the fill value, is none.
    result_bytes
        Bytes of the rows that were returned.
    read_seconds, decode_seconds, scatter_seconds
        Summed over threads, which wait for each other and for the interpreter now and then: two busy threads give two
        seconds a second. Plain bytes are copied to their places as they are read, and all of that is reading.
    wall_seconds
        Seconds by the clock, of all reads; of reads at the same time, each its own.
    """

    reads: int = 0
    rows: int = 0
    bytes: int = 0
    requests: int = 0
    fetches: int = 0
    fetched_bytes: int = 0
    chunks: int = 0
    result_bytes: int = 0
    read_seconds: float = 0.0
    decode_seconds: float = 0.0
    scatter_seconds: float = 0.0
    wall_seconds: float = 0.0


_COUNTED = ("reads", "rows", "bytes", "requests", "fetches", "fetched_bytes", "chunks", "result_bytes")
"""Names of the counts, which are fields of `ReadCounts`."""


class _Tally:
    """The counts of one thread: no other thread writes to it, so that it takes no lock, which a fork could leave taken.

    Attributes
    ----------
    counts, seconds
        By name of a count, and by phase.
    whole
        By phase, with the phases inside it.
    levels
        By name of a number that goes up and down.
    inner
        Seconds of the phases that ended inside the one that runs.
    """

    __slots__ = ("counts", "inner", "levels", "seconds", "whole")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.whole: dict[str, float] = {}
        self.levels: dict[str, int] = {}
        self.inner = 0.0


class _Timed(AbstractContextManager[None]):
    """The context of a phase: a class, since it is entered for every batch, and a generator takes twice as long."""

    __slots__ = ("_before", "_begun", "_clock", "_phase", "_tally")

    def __init__(self, tally: _Tally, phase: str, clock: Callable[[], float]) -> None:
        self._tally = tally
        self._phase = phase
        self._clock = clock

    def __enter__(self) -> None:
        self._before, self._tally.inner = self._tally.inner, 0.0
        self._begun = self._clock()

    def __exit__(self, *_: object) -> None:
        tally, phase = self._tally, self._phase
        took = self._clock() - self._begun
        tally.seconds[phase] = tally.seconds.get(phase, 0.0) + took - tally.inner
        tally.whole[phase] = tally.whole.get(phase, 0.0) + took
        tally.inner = self._before + took


class Observer:
    """Adds up counts and seconds, from any thread; another process begins anew.

    Parameters
    ----------
    clock
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._tallies: dict[tuple[int, int], _Tally] = {}

    def count(self, **counts: int) -> None:
        """Add to counts, by name."""
        total = self._tally().counts
        for name, value in counts.items():
            total[name] = total.get(name, 0) + value

    def timed(self, phase: str) -> AbstractContextManager[None]:
        """Add the seconds until the context ends to a phase, those of phases inside it apart."""
        return _Timed(self._tally(), phase, self.clock)

    def add(self, phase: str, seconds: float) -> None:
        """Add seconds to a phase."""
        tally = self._tally()
        tally.seconds[phase] = tally.seconds.get(phase, 0.0) + seconds

    def counted(self) -> dict[str, int]:
        """Return all counts so far."""
        return {name: int(value) for name, value in _added(tally.counts for tally in self._own()).items()}

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase so far, summed over threads, without those of phases inside it."""
        return _added(tally.seconds for tally in self._own())

    def whole_seconds(self) -> dict[str, float]:
        """Return the seconds of each phase so far, summed over threads, with those of phases inside it."""
        return _added(tally.whole for tally in self._own())

    def set_levels(self, **levels: int) -> None:
        """Set numbers that go up and down, as far as this thread is concerned."""
        self._tally().levels.update(levels)

    def levels(self) -> dict[str, float]:
        """Return the levels of all threads together."""
        return _added(tally.levels for tally in self._own())

    def reads(self) -> ReadCounts:
        """Return the totals of reads so far."""
        counted, seconds = self.counted(), self.seconds()
        return ReadCounts(
            **{name: counted.get(name, 0) for name in _COUNTED},
            read_seconds=seconds.get(READ, 0.0),
            decode_seconds=seconds.get(DECODE, 0.0),
            scatter_seconds=seconds.get(SCATTER, 0.0),
            wall_seconds=self.whole_seconds().get(WHOLE, 0.0),
        )

    def _tally(self) -> _Tally:
        key = os.getpid(), threading.get_ident()
        found = self._tallies.get(key)
        return self._tallies.setdefault(key, _Tally()) if found is None else found

    def _own(self) -> list[_Tally]:
        """Return the tallies of this process: a fork has copies of its parent's."""
        pid = os.getpid()
        return [tally for (owner, _), tally in list(self._tallies.items()) if owner == pid]

    def __reduce__(self) -> tuple[type["Observer"], tuple[Callable[[], float]]]:
        return Observer, (self.clock,)


def _added(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, value in list(part.items()):  # of a thread that may go on meanwhile
            total[name] = total.get(name, 0) + value
    return total


_OBSERVER: ContextVar[Observer | None] = ContextVar("observer", default=None)
"""Threads of the engine run in a copy of the context of the thread that asked for rows."""

_UNOBSERVED = nullcontext()


def observer_here() -> Observer | None:
    """Return the observer of this thread, or None."""
    return _OBSERVER.get()


class observing:  # noqa: N801 called as a function, and a class for its speed
    """Count to ``observer`` the reads of this thread while the context lasts, and those of threads that read for it."""

    __slots__ = ("_observer", "_token")

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer

    def __enter__(self) -> Observer | None:
        self._token = _OBSERVER.set(self._observer)
        return self._observer

    def __exit__(self, *_: object) -> None:
        _OBSERVER.reset(self._token)


def note(**counts: int) -> None:
    """Add to counts, if this thread is observed."""
    observer = _OBSERVER.get()
    if observer is not None:
        observer.count(**counts)


def observed(phase: str, **counts: int) -> AbstractContextManager[None]:
    """Return a context that adds to counts, and its seconds to a phase, if this thread is observed."""
    observer = _OBSERVER.get()
    if observer is None:
        return _UNOBSERVED
    if counts:
        observer.count(**counts)
    return observer.timed(phase)


def set_level(**levels: int) -> None:
    """Set numbers that go up and down, if this thread is observed."""
    observer = _OBSERVER.get()
    if observer is not None:
        observer.set_levels(**levels)
