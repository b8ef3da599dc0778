"""Windows read in the background while the model works on the one before.

    fetches ──► announce k + 2 ──► read k + 1 (one thread, which has the engine's threads) ──► window k: hooks, batches

Only collections whose ``reads_ahead`` is true are read this way: they touch nothing of the user's. Hooks always run in
the consumer's thread.
"""

import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_ahead"]

Fetch = tuple[NDArray[np.int64], list[int]]


def read_ahead(collection: Any, fetches: Iterator[Fetch], depth: int) -> Iterator[tuple[Any, list[int]]]:
    """Yield what was read for each fetch, and its bounds, in order.

    Parameters
    ----------
    collection
        Has ``read(rows)`` and ``announce(rows)``.
    fetches
        Rows and bounds of one fetch after the other.
    depth
        Windows that are read before they are asked for: so many, and the one in use, are in memory at most.
    """
    is_finalizing = sys.is_finalizing
    announced: deque[Fetch] = deque()
    reading: deque[tuple[Future[Any], Fetch]] = deque()
    executor = ThreadPoolExecutor(1, thread_name_prefix="scdataset-ahead")
    try:
        exhausted = False
        while not exhausted or announced or reading:
            while not exhausted and len(announced) + len(reading) <= depth + 1:
                fetch = next(fetches, None)
                exhausted = fetch is None
                if fetch is not None:
                    executor.submit(collection.announce, fetch[0])
                    announced.append(fetch)
            while announced and len(reading) <= depth:
                fetch = announced.popleft()
                reading.append((executor.submit(collection.read, fetch[0]), fetch))
            if reading:
                future, (_, bounds) = reading.popleft()
                yield future.result(), bounds
    finally:
        if not is_finalizing():  # a script that ends in the middle of an epoch: the interpreter ends the thread
            executor.shutdown(cancel_futures=True)
