"""The end of what the garbage collector may end, in any thread, and in the midst of any other work.

To end it takes locks, and waits for threads that take others: the thread that collects may hold these. So it is left to
a thread of its own.
"""

import gc
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

__all__ = ["end", "prepare"]


class _State:
    """The thread that collects garbage now, and the one that ends what is left to it."""

    collector: int | None = None

    def __init__(self) -> None:
        self.left: SimpleQueue[Callable[[], object]] = SimpleQueue()  # the one queue that finalizers may put into
        self.thread: threading.Thread | None = None


_STATE = _State()


def prepare() -> None:
    """Begin the thread, which the collector cannot; to be called before what is ended by `end`."""
    if _STATE.thread is None:
        _STATE.thread = threading.Thread(target=_work, args=(_STATE.left,), name="scdataset-end", daemon=True)
        _STATE.thread.start()


def end(work: Callable[[], object]) -> None:
    """Do some work now, or in the thread if it is the garbage collector that asks for it."""
    if _State.collector == threading.get_ident():
        _STATE.left.put(work)
    else:
        work()


def _work(left: "SimpleQueue[Callable[[], object]]") -> None:
    while True:
        work = left.get()
        with suppress(Exception):  # nobody is there to be told
            work()
        del work


def _note(phase: str, _: object) -> None:
    _State.collector = threading.get_ident() if phase == "start" else None


gc.callbacks.append(_note)


def _begin_anew() -> None:
    """Leave the parent's thread alone, which is not here."""
    global _STATE  # noqa: PLW0603 each process has its own
    _STATE = _State()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
