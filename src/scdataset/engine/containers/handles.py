"""Which HDF5 files h5py has open in this process: none, as soon as nothing reads through it.

A file that h5py has open for reading cannot be opened for writing, neither here nor in another process. Bytes of chunks
are read through descriptors of our own, which no one waits for.
"""

import os
import threading
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


_HANDLES = _Handles()


class handles_open:  # noqa: N801 called as a function, and a class for its speed
    """Keep the handles that are opened within; they are closed when no caller of this process is within any more."""

    __slots__ = ("_handles",)

    def __enter__(self) -> None:
        self._handles = _HANDLES
        with self._handles.lock:
            self._handles.n_users += 1

    def __exit__(self, *_: object) -> None:
        handles = self._handles
        with handles.lock:  # held while handles close, so that no one begins to use one meanwhile
            handles.n_users -= 1
            while handles.opened and handles.n_users == 0:
                handles.opened.pop().release()


def note_opened(file: Releasable) -> None:
    """Note that a handle was opened, to be closed when it is idle."""
    _HANDLES.opened.append(file)


def _begin_anew() -> None:
    """Leave the parent's handles alone, and its lock, which another of its threads may have held."""
    global _HANDLES  # noqa: PLW0603 each process has its own
    _HANDLES = _Handles()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
