"""Which HDF5 files h5py has open in this process: none, as soon as nothing reads through it.

A file that h5py has open for reading cannot be opened for writing, neither here nor in another process. Bytes of chunks
are read through descriptors of our own, which no one waits for.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["handles_open", "note_opened"]


class Releasable(Protocol):
    """An object with a handle of HDF5."""

    def release(self) -> None:
        """Close the handle; the next use opens it again."""
        ...


class _Handles:
    """The handles of this process, and how many callers use some of them at the moment."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.n_users = 0
        self.opened: list[Releasable] = []

    def enter(self) -> None:
        with self.lock:
            self.n_users += 1

    def leave(self) -> None:
        with self.lock:  # held while handles close, so that no one begins to use one meanwhile
            self.n_users -= 1
            while self.opened and self.n_users == 0:
                self.opened.pop().release()


_HANDLES = _Handles()


@contextmanager
def handles_open() -> Iterator[None]:
    """Keep the handles that are opened within; they are closed when no caller of this process is within any more."""
    handles = _HANDLES
    handles.enter()
    try:
        yield
    finally:
        handles.leave()


def note_opened(file: Releasable) -> None:
    """Note that a handle was opened, to be closed when it is idle."""
    _HANDLES.opened.append(file)


def _begin_anew() -> None:
    """Leave the parent's handles alone, and its lock, which another of its threads may have held."""
    global _HANDLES  # noqa: PLW0603 each process has its own
    _HANDLES = _Handles()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
