"""Windows read in the background while the model works on the one before.

    fetches ──► announce k + 2 ──► begin k + 1 (one thread, which has the engine's threads) ──► finish k, hooks, batches

Of a collection in an object store more windows are announced, until all connections have requests.

Only collections whose ``reads_ahead`` is true are read this way: announcing and beginning a read touch nothing of the
user's. To finish it may, and hooks do, and both run in the consumer's thread; but a transform that says ``runs_ahead``
is called where the window was read, if nothing is left to finish. Where rows become too large for a window of them,
such as dense ones, that is done with some batches at a time, in a thread of its own.
"""

import sys
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
from scdataset.engine.buffers import reading_ahead
from scdataset.engine.bytes.connections import MOST
from scdataset.engine.observer import observed, set_level

__all__ = ["Fetch", "ReadsAhead", "maker", "read_ahead"]

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
    """

    is_remote: bool

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
    known: deque[Fetch] = deque()
    reading: deque[tuple[Future[RowData], NDArray[np.int64], list[int]]] = deque()
    announcer = _Announcer(collection)

    def begin(rows: NDArray[np.int64]) -> RowData:
        announcer.begin()
        with observed(WINDOW, windows=1, window_rows=rows.size), reading_ahead():
            begun = collection.begin(rows)
        if transform is None:
            return begun
        with observed(AHEAD):
            return transform(begun, rows)

    def know_more(enough: Callable[[], bool]) -> None:
        while not enough() and (fetch := next(fetches, None)) is not None:
            announcer.add(fetch[0])
            known.append(fetch)

    def top_up() -> None:
        """Announce one window more than are read, and read as many as are wanted."""
        know_more(lambda: len(known) + len(reading) > depth)
        while known and len(reading) < depth:
            rows, bounds = known.popleft()
            reading.append((executor.submit(copy_context().run, begin, rows), rows, bounds))
        if collection.is_remote:
            know_more(lambda: sum(rows.size for rows, _ in known) >= _ROWS_KNOWN)

    try:
        with _thread() as executor:
            top_up()
            while reading:
                future, rows, bounds = reading.popleft()
                with waiting():
                    begun = future.result()
                del future  # which would keep the window alive
                top_up()
                set_level(rows_in_flight=rows.size + sum(one[1].size for one in reading))
                with waiting():
                    fetched = collection.finish(rows, begun)
                del begun
                yield fetched, rows, bounds
                del fetched
    finally:
        set_level(rows_in_flight=0)


class _Announcer:
    """Announces windows in their order: those that are due, and further ones while these take few requests.

    Windows are added by the consumer's thread; all else is done by the one that reads.
    """

    def __init__(self, collection: ReadsAhead) -> None:
        self._collection = collection
        self._waiting: deque[NDArray[np.int64]] = deque()
        self._n_requests: deque[int] = deque()

    def add(self, rows: NDArray[np.int64]) -> None:
        """Have a window announced in its turn."""
        self._waiting.append(rows)

    def begin(self) -> None:
        """Announce windows before the next is read: that one, the one after it, and some more in a store."""
        while self._waiting and (len(self._n_requests) < _DUE or self._connections_idle()):
            self._n_requests.append(0)
            with suppress(Exception):  # reading the window raises the same, in its turn
                self._n_requests[-1] = self._collection.announce(self._waiting.popleft())
        self._n_requests.popleft()

    def _connections_idle(self) -> bool:
        """Return whether connections would idle before the window after the next is announced."""
        return self._collection.is_remote and sum(islice(self._n_requests, 1, None)) < _REQUESTS_AHEAD


@contextmanager
def maker(batch_size: int, *, is_ahead: bool) -> Iterator[Callable[[Iterator[RowData]], Iterator[RowData]]]:
    """Give a function that iterates over batches which are made as it goes, in the background if it ``is_ahead``."""
    if not is_ahead:
        yield iter
        return
    with _thread() as executor:
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


@contextmanager
def _thread() -> Iterator[ThreadPoolExecutor]:
    """Give a thread in the background, and end it."""
    is_finalizing = sys.is_finalizing
    executor = ThreadPoolExecutor(1, thread_name_prefix="scdataset-ahead")
    try:
        yield executor
    finally:
        if not is_finalizing():  # a script that ends in the middle of an epoch: the interpreter ends the thread
            executor.shutdown(cancel_futures=True)
