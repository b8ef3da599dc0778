"""Windows read in the background while the model works on the one before.

    fetches ──► announce k + 2 ──► begin k + 1 (one thread, which has the engine's threads) ──► finish k, hooks, batches

Of a collection in an object store more windows are announced, until all connections have requests, by one more thread.

Only collections whose ``reads_ahead`` is true are read this way: announcing and beginning a read touch nothing of the
user's. To finish it may, and hooks do, and both run in the consumer's thread; but a transform that says ``runs_ahead``
is called where the window was read, if nothing is left to finish. Where rows become too large for a window of them,
such as dense ones, that is done with some batches at a time, in a thread of its own.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from scdataset._types import RowData
from scdataset.dataset.monitor import AHEAD, WAIT_FOR_BATCHES, WINDOW, waiting
from scdataset.engine.buffers import wait_for_memory
from scdataset.engine.bytes.connections import MOST, giving_up
from scdataset.engine.observer import observed, observer_here, set_level
from scdataset.engine.threads import background_thread

__all__ = ["Fetch", "ReadsAhead", "maker", "read_ahead", "read_when_asked"]

T = TypeVar("T")

Fetch = tuple[NDArray[np.int64], list[int]]
"""Rows of some batches, and the bounds between batches."""


_ROWS_MADE = 256
"""Rows of batches that are made together in the background: handing over a smaller batch costs more than to make it."""


_DUE = 2
"""Windows that are announced when one is read, that one included."""

_REQUESTS_AHEAD = 2 * MOST
"""Requests for windows that come after the one that is read, at least: as many as are under way, and as many again."""

_ROWS_KNOWN = 1 << 16
"""Rows of the windows that may be announced to a store ahead of their turn, at most."""


class ReadsAhead(Protocol):
    """A collection whose windows can be read in the background.

    Attributes
    ----------
    is_remote
        Whether some of it is read by requests to a store, whose connections should not idle.
    reads_whole
        Whether `begin` returns complete windows, which are not finished.
    """

    is_remote: bool
    reads_whole: bool

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows will be read soon, and return the number of requests for them."""
        ...

    def begin(self, rows: NDArray[np.int64]) -> RowData:
        """Do the slow part of reading; called in a background thread."""
        ...

    def finish(self, rows: NDArray[np.int64], begun: RowData) -> RowData:
        """Return the result of ``read(rows)``, given that of `begin`."""
        ...


def read_ahead(
    collection: Any,
    fetches: Iterator[Fetch],
    depth: int,
    transform: Callable[[RowData, NDArray[np.int64]], RowData] | None = None,
) -> Iterator[tuple[RowData, NDArray[np.int64], list[int]]]:
    """Yield the window of each fetch, its rows and its bounds, in order.

    Parameters
    ----------
    collection
        The collection, a `ReadsAhead`.
    fetches
        Rows and bounds of one fetch after the other.
    depth
        Windows that are read before they are asked for, at least 1.
    transform
        A function that is called in the background with every window of a collection that `reads_whole`, and its rows.
    """
    reads_whole = collection.reads_whole
    reading: deque[tuple[Future[RowData], NDArray[np.int64], list[int]]] = deque()

    def begin(rows: NDArray[np.int64]) -> RowData:
        upcoming.announce()
        with observed(WINDOW, windows=1, window_rows=rows.size):
            begun = collection.begin(rows)
        if transform is None:
            return begun
        with observed(AHEAD):
            return transform(begun, rows)

    def top_up() -> None:
        """Announce one window more than are read, and read as many as are wanted."""
        known = upcoming.known
        while len(known) + len(reading) <= depth and upcoming.has_more():
            pass
        while known and len(reading) < depth:
            rows, bounds = known.popleft()
            reading.append((executor.submit(copy_context().run, wanted(begin), rows), rows, bounds))
        while upcoming.is_remote and sum(rows.size for rows, _ in known) < _ROWS_KNOWN and upcoming.has_more():
            pass

    try:
        with (
            background_thread("ahead", wait_for_memory) as executor,
            background_thread("announce") as announcer,
            giving_up() as wanted,
        ):
            upcoming = _Upcoming(collection, fetches, announcer)
            top_up()
            while reading:
                future, rows, bounds = reading.popleft()
                observer = observer_here()
                with waiting(observer):
                    fetched = future.result()
                del future  # which would keep the window alive
                top_up()
                if observer is not None:
                    observer.set_levels(rows_in_flight=rows.size + sum(rows.size for _, rows, _ in reading))
                if not reads_whole:
                    with waiting(observer):
                        fetched = collection.finish(rows, fetched)
                yield fetched, rows, bounds
                del fetched
    finally:
        set_level(rows_in_flight=0)


def read_when_asked(
    collection: Any, fetches: Iterator[Fetch]
) -> Iterator[tuple[RowData, NDArray[np.int64], list[int]]]:
    """Do as `read_ahead`, each window in its turn and in the consumer's thread."""
    for rows, bounds in fetches:
        set_level(rows_in_flight=rows.size)
        with waiting(observer_here()), observed(WINDOW, windows=1, window_rows=rows.size):
            fetched = collection.read(rows)
        yield fetched, rows, bounds
        del fetched
    set_level(rows_in_flight=0)


class _Upcoming:
    """Windows to be read, announced in their order: those that are due, and more while these take few requests.

    The thread that reads announces them, or has another one do so; all else is done by the consumer's.

    Attributes
    ----------
    known
        Windows whose rows are known, and that are not read yet.
    is_remote
        As of the collection.
    """

    def __init__(self, collection: ReadsAhead, fetches: Iterator[Fetch], announcer: ThreadPoolExecutor) -> None:
        self.known: deque[Fetch] = deque()
        self.is_remote = collection.is_remote
        self._collection, self._fetches, self._announcer = collection, fetches, announcer
        self._waiting: deque[NDArray[np.int64]] = deque()
        self._n_requests: deque[int] = deque()

    def has_more(self) -> bool:
        """Learn the rows of one window more, to be announced in its turn; tell whether there is one."""
        fetch = next(self._fetches, None)
        if fetch is not None:
            self._waiting.append(fetch[0])
            self.known.append(fetch)
        return fetch is not None

    def announce(self) -> None:
        """Announce windows before the next is read: that one and the one after it; more in a store, meanwhile."""
        if self.is_remote:
            self._announcer.submit(copy_context().run, self._announce)
        else:
            self._announce()

    def _announce(self) -> None:
        while self._waiting and (len(self._n_requests) < _DUE or self._connections_idle()):
            self._n_requests.append(0)
            with suppress(Exception):  # reading the window raises the same, in its turn
                self._n_requests[-1] = self._collection.announce(self._waiting.popleft())
        self._n_requests.popleft()

    def _connections_idle(self) -> bool:
        """Return whether connections would idle before the window after the next is announced."""
        return self.is_remote and sum(islice(self._n_requests, 1, None)) < _REQUESTS_AHEAD


@contextmanager
def maker(batch_size: int, *, is_ahead: bool) -> Iterator[Callable[[Iterator[RowData]], Iterator[RowData]]]:
    """Give a function that iterates over batches which are made as it goes, in the background if it ``is_ahead``."""
    if not is_ahead:
        yield iter
        return
    with background_thread("ahead") as executor:
        yield partial(_made_ahead, executor, -(-_ROWS_MADE // batch_size))


def _made_ahead(executor: ThreadPoolExecutor, n: int, batches: Iterator[RowData]) -> Iterator[RowData]:
    """Yield batches that are made ``n`` at a time: while some are used, the next are made."""

    def some() -> deque[RowData]:
        return deque(islice(batches, n))

    future = executor.submit(copy_context().run, some)
    while made := _waited(future):
        future = executor.submit(copy_context().run, some)
        while made:
            yield made.popleft()


def _waited(future: "Future[T]") -> T:
    with observed(WAIT_FOR_BATCHES):
        return future.result()
