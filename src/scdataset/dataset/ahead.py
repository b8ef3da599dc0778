"""Windows read in the background while the model works on the one before.

    fetches ──► announce k + 2 ──► begin k + 1 (one thread, which has the engine's threads) ──► finish k, hooks, batches

Only collections whose ``reads_ahead`` is true are read this way: announcing and beginning a read touch nothing of the
user's. To finish it may, and hooks do, and both run in the consumer's thread; but a transform that says ``runs_ahead``
is called where the window was read, if nothing is left to finish. Where rows become too large for a window of them,
such as dense ones, that is done with some batches at a time, in a thread of its own.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scdataset._types import RowData
from scdataset.dataset.monitor import AHEAD, WAIT_FOR_BATCHES, WINDOW, waiting
from scdataset.engine.buffers import reading_ahead
from scdataset.engine.observer import observed, set_level

__all__ = ["Fetch", "ReadsAhead", "maker", "read_ahead"]

Fetch = tuple[NDArray[np.int64], list[int]]
"""Rows of some batches, and the bounds between batches."""


_ROWS_MADE = 256
"""Rows of batches that are made together in the background: handing over a smaller batch costs more than to make it."""


class ReadsAhead(Protocol):
    """A collection of which windows can be read in the background."""

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        ...

    def begin(self, rows: NDArray[np.int64]) -> RowData:
        """Do the slow part of reading; called in a background thread."""
        ...

    def finish(self, rows: NDArray[np.int64], begun: RowData) -> RowData:
        """Return the result of ``read(rows)``, given that of `begin`."""
        ...


def read_ahead(
    collection: RowData,
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
    announced: deque[Fetch] = deque()
    reading: deque[tuple[Future[RowData], NDArray[np.int64], list[int]]] = deque()

    def begin(rows: NDArray[np.int64]) -> RowData:
        with observed(WINDOW, windows=1, window_rows=rows.size), reading_ahead():
            begun = collection.begin(rows)
        if transform is None:
            return begun
        with observed(AHEAD):
            return transform(begun, rows)

    def top_up() -> None:
        """Announce one window more than are read, and read as many as are wanted."""
        while len(announced) + len(reading) <= depth and (fetch := next(fetches, None)) is not None:
            executor.submit(copy_context().run, collection.announce, fetch[0])
            announced.append(fetch)
        while announced and len(reading) < depth:
            rows, bounds = announced.popleft()
            reading.append((executor.submit(copy_context().run, begin, rows), rows, bounds))

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


def _waited(future: "Future[RowData]") -> RowData:
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
