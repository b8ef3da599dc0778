"""The descriptors of this process: one a file, and no more of them than a system allows."""

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["TOO_MANY", "Openable", "all_opened", "close", "keep", "opened"]

_SHARE = 2
"""One in so many of the descriptors that a process may have is kept; the rest is for the user and for libraries."""

_UNLIMITED = 1 << 16
"""Descriptors that are kept where there is no limit."""

_UNKNOWN = 128
"""Descriptors that are kept where the limit cannot be asked for."""

TOO_MANY = (errno.EMFILE, errno.ENFILE)
"""Errors of opening a file where too many are open."""


class Openable(Protocol):
    """A file that can be opened."""

    def open_now(self) -> int:
        """Open the file and return its descriptor."""
        ...


class opened(AbstractContextManager[int]):  # noqa: N801 called as a function, and a class for its speed
    """Provide the descriptor of a file, which is not evicted while it is in use."""

    __slots__ = ("_file",)

    def __init__(self, file: Openable) -> None:
        self._file = file

    def __enter__(self) -> int:
        return _OPEN.take(self._file)

    def __exit__(self, *_: object) -> None:
        _OPEN.give_back(self._file)


@contextmanager
def all_opened(files: Sequence[Openable]) -> Iterator[list[int]]:
    """Provide the descriptors of several files, none of which is evicted while they are in use."""
    descriptors: list[int] = []
    try:
        _OPEN.take_all(files, descriptors)
        yield descriptors
    finally:
        _OPEN.give_back_all(files[: len(descriptors)])


def close(file: Openable) -> None:
    """Close the descriptor of a file, once nobody reads it."""
    if _OPEN is not None:  # as the interpreter ends, modules go before objects
        _OPEN.close(file)


def keep(file: Openable, descriptor: int) -> None:
    """Take a descriptor of a file that is open already, as if it had been opened here."""
    _OPEN.keep(file, descriptor)


def most_open() -> int:
    """Return how many descriptors a process keeps; the one used longest ago is closed for another."""
    if resource is None:
        return _UNKNOWN
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if allowed == resource.RLIM_INFINITY else allowed // _SHARE


@dataclass(slots=True)
class _Entry:
    """A descriptor, how many readers it has now, and whether it is to be closed when they have ended."""

    descriptor: int
    readers: int = 0
    closing: bool = False


class _Open:
    """The descriptors of this process, one a file, the one used longest ago first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a file may be collected, and closed, in the midst of this
        self._entries: OrderedDict[int, _Entry] = OrderedDict()  # by id of the file

    def take(self, file: Openable) -> int:
        with self._lock:
            key = id(file)
            entry = self._entries.get(key)
            if entry is None:
                self._make_room(most_open())
                entry = self._entries[key] = _Entry(self._opened(file))
            self._entries.move_to_end(key)
            entry.readers += 1
            entry.closing = False
            return entry.descriptor

    def keep(self, file: Openable, descriptor: int) -> None:
        with self._lock:
            self._make_room(most_open())
            self._entries[id(file)] = _Entry(descriptor)

    def take_all(self, files: Sequence[Openable], taken: list[int]) -> None:
        """Append the descriptors to ``taken``: after an error those of the files before."""
        with self._lock:
            for file in files:
                taken.append(self.take(file))  # noqa: PERF401 as said

    def give_back(self, file: Openable) -> None:
        with self._lock:
            entry = self._entries.get(id(file))
            if entry is not None:
                entry.readers -= 1
                if entry.closing:
                    self.close(file)

    def give_back_all(self, files: Sequence[Openable]) -> None:
        with self._lock:
            for file in files:
                self.give_back(file)

    def close(self, file: Openable) -> None:
        with self._lock:
            entry = self._entries.get(id(file))
            if entry is None:
                return
            entry.closing = entry.readers > 0
            if not entry.closing:
                os.close(self._entries.pop(id(file)).descriptor)

    def _opened(self, file: Openable) -> int:
        """Open a file; where the user holds all other descriptors of the process, close those that are idle."""
        try:
            return file.open_now()
        except OSError as error:
            if error.errno not in TOO_MANY:
                raise
            self._make_room(1)
            return file.open_now()

    def _make_room(self, most: int) -> None:
        """Close idle files, the one used longest ago first, until there are fewer than ``most``."""
        surplus = len(self._entries) + 1 - most
        if surplus > 0:
            idle = (key for key, entry in self._entries.items() if not entry.readers)
            for key in list(islice(idle, surplus)):
                os.close(self._entries.pop(key).descriptor)


_OPEN = _Open()


def _begin_anew() -> None:
    """Leave the parent's descriptors alone, and its lock, which another of its threads may have held."""
    global _OPEN  # noqa: PLW0603 each process has its own
    _OPEN = _Open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
