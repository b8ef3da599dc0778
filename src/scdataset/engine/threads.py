"""Threads for reading and decoding: as many as this process may use, and no more than are asked for."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial

from scdataset._cores import usable_cores
from scdataset.engine import collecting

__all__ = ["Threads", "background_thread"]

_CALLS = 32
"""Calls for each thread into which many small parts are put together: a call costs more than some of them."""


class Threads:
    """A pool of threads that is made when it is first needed, and again after a fork or in another process.

    Parameters
    ----------
    count
        Number of threads; None for one a usable core. 1 works in the caller's thread.
    """

    def __init__(self, count: int | None = None) -> None:
        self._asked = count
        self._shares = 1
        self._pool: ThreadPoolExecutor | None = None
        self._size = self._pid = 0  # its threads, and its process

    @property
    def count(self) -> int:
        """Number of threads."""
        return self._asked or max(1, usable_cores() // self._shares)

    def share_among(self, processes: int) -> None:
        """Divide the cores among ``processes`` DataLoader workers of this machine from now on: they read together."""
        if processes != self._shares:
            self._shares = processes
            self.close()

    def run(self, work: Callable[..., None], parts: Sequence[tuple[object, ...]]) -> None:
        """Call ``work(*part)`` for every part and wait for all; the first error is raised when all have ended."""
        if len(parts) <= 1 or (self._pool is None and self.count == 1):
            _run_each(work, parts)
            return
        with _CHANGING:
            if self._pool is None or self._pid != os.getpid():
                self._size, self._pid = self.count, os.getpid()
                self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="scdataset-read")
            step = -(-len(parts) // (self._size * _CALLS))
            futures = [  # in the caller's context, which has the observer of its reads
                self._pool.submit(copy_context().run, _run_each, work, parts[i : i + step])
                for i in range(0, len(parts), step)
            ]
        first = None
        for future in futures:
            error = future.exception()
            first = error if first is None else first
        if first is not None:
            raise first

    def close(self, *, waits: bool = True) -> None:
        """End the threads once their work is done, and wait for that; they come back when they are needed."""
        with _CHANGING:
            pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.shutdown(wait=waits)

    def __reduce__(self) -> tuple[type["Threads"], tuple[int | None]]:
        return Threads, (self._asked,)


def _run_each(work: Callable[..., None], parts: Sequence[tuple[object, ...]]) -> None:
    for part in parts:
        work(*part)


@contextmanager
def background_thread(name: str, initializer: Callable[[], None] | None = None) -> Iterator[ThreadPoolExecutor]:
    """Give a thread in the background, which calls ``initializer`` first, and end it."""
    is_finalizing = sys.is_finalizing
    collecting.prepare()
    executor = ThreadPoolExecutor(1, thread_name_prefix=f"scdataset-{name}", initializer=initializer)
    try:
        yield executor
    finally:
        if not is_finalizing():  # a script that ends in the middle of an epoch: the interpreter ends the thread
            collecting.end(partial(executor.shutdown, cancel_futures=True))


_CHANGING = threading.RLock()
"""Held to give work to threads and to take a pool away, since a reader in the background may be closed meanwhile."""


def _begin_anew() -> None:
    """Leave the parent's lock, which another of its threads may have held."""
    global _CHANGING  # noqa: PLW0603 each process has its own
    _CHANGING = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
