"""Threads that wait for the responses of stores.

When a process ends, the interpreter waits for the threads of executors, and so for as long as a store does not answer.
It does not wait for these, nor for anybody who waits for a response: all requests are given up then. So is the waiting
of a reader in the background whose rows nobody wants any more.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from scdataset.engine import collecting
from scdataset.errors import UnreachableStoreError

__all__ = ["MOST", "Request", "Wanted", "after", "giving_up", "result_of", "submit"]

P = ParamSpec("P")
T = TypeVar("T")

Request: TypeAlias = "Future[Any]"
"""A request that a thread makes, whatever its result."""

_ENDED: ContextVar["Future[None] | None"] = ContextVar("ended", default=None)
"""Is done once requests are not to be waited for any longer."""

MOST = 64
"""Requests of a process at once."""

_GRACE = 1.0
"""Seconds for the requests that are under way when the process ends.

A thread that comes back from native code while the interpreter is taken apart may take the process down.
"""


class _Connections:
    """Up to ``most`` threads of a name, which take requests from a queue."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._lock = threading.RLock()  # a finalizer in the midst of this may make a request
        self._queue: SimpleQueue[tuple[Request, Callable[[], object]]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._n_threads = 0
        self._under_way: set[Future[object]] = set()
        self._ended = False

    def submit(self, future: "Future[T]", request: Callable[[], T]) -> None:
        with self._lock:
            if self._ended:
                _give_up(future)
                return
            self._queue.put((future, request))
            if not self._idle.acquire(blocking=False) and self._n_threads < self._most:
                self._n_threads += 1
                name = f"{self._name}_{self._n_threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()

    def end(self) -> None:
        """Give up all requests, those that are under way after a moment."""
        with self._lock:
            self._ended = True
        with suppress(Empty):
            while True:
                _give_up(self._queue.get_nowait()[0])
        under_way = set(self._under_way)
        wait(under_way, _GRACE)
        for future in under_way:
            _give_up(future)

    def _work(self) -> None:
        while True:
            future, request = self._queue.get()
            self._under_way.add(future)
            _answer(future, request)
            self._under_way.discard(future)
            del future, request  # which keep a file alive
            self._idle.release()


def _answer(future: "Future[T]", request: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = request()
    except BaseException as error:  # noqa: BLE001 it is raised where the future is waited for
        with suppress(InvalidStateError):  # given up meanwhile
            future.set_exception(error)
    else:
        with suppress(InvalidStateError):
            future.set_result(result)


def _give_up(future: "Future[T]") -> None:
    with suppress(InvalidStateError):
        future.set_exception(UnreachableStoreError("Requests are given up, since the process ends."))


class _Threads:
    """The threads of this process: those that wait for responses, and one that goes on with the work after them."""

    def __init__(self) -> None:
        self.connections = _Connections("scdataset-objects", MOST)
        self.following = _Connections("scdataset-following", 1)

    def end(self) -> None:
        self.following.end()
        self.connections.end()


_THREADS = _Threads()


def submit(request: Callable[[], T]) -> "Future[T]":
    """Have a thread of this process make a request.

    Raises
    ------
    UnreachableStoreError
        Where the result is waited for, once the process ends.
    """
    future: Future[T] = Future()
    _THREADS.connections.submit(future, request)
    return future


class Wanted(Protocol):
    """Returns a function that does the same, as long as somebody wants its result."""

    def __call__(self, work: Callable[P, T]) -> Callable[P, T]:
        """Return it."""
        ...


@contextmanager
def giving_up() -> Iterator[Wanted]:
    """Give a function that returns others, to be called in any thread; in the end these wait for no more requests."""
    ended: Future[None] = Future()
    is_finalizing = sys.is_finalizing
    collecting.prepare()

    def wanted(work: Callable[P, T]) -> Callable[P, T]:
        def run(*arguments: P.args, **named: P.kwargs) -> T:
            token = _ENDED.set(ended)
            try:
                return work(*arguments, **named)
            finally:
                _ENDED.reset(token)

        return run

    try:
        yield wanted
    finally:
        if not is_finalizing():
            collecting.end(partial(ended.set_result, None))


def result_of(request: "Future[T]") -> T:
    """Return the result of a request.

    Raises
    ------
    UnreachableStoreError
        If whoever waits gives up meanwhile; see `giving_up`.
    """
    ended = _ENDED.get()
    if ended is not None and not request.done():
        either: list[Request] = [request, ended]
        wait(either, return_when=FIRST_COMPLETED)
        if not request.done():
            message = "A request is not waited for any longer, since nobody wants its rows."
            raise UnreachableStoreError(message)
    return request.result()


def after(requests: Sequence[Request], work: Callable[[], object]) -> None:
    """Have a thread do something that may wait for requests, once all of these are answered; not after an error."""
    lock, left = threading.Lock(), set(requests)

    def done(request: Request) -> None:
        with lock:
            left.discard(request)
            is_last = not left
        if is_last and not any(one.cancelled() or one.exception() for one in requests):
            _THREADS.following.submit(Future(), work)

    for request in requests:
        request.add_done_callback(done)


def _end() -> None:
    _THREADS.end()


def _begin_anew() -> None:
    """Leave the requests of the parent alone, whose threads are not here."""
    global _THREADS  # noqa: PLW0603 each process has its own
    _THREADS = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

# Functions of `atexit` are called after threads of executors were joined, and there is no public name for what is
# called before. Those registered last are called first: this one before the one of `concurrent.futures`.
if hasattr(threading, "_register_atexit"):
    threading._register_atexit(_end)  # noqa: SLF001 see above
