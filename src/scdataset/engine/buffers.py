"""Reuse output memory: a fresh array costs more in page faults than the copy into it.

    buffer   |#########################################|   a window, which fills it
    parts    |####|####|####|####|####|####|####|####|#|   its batches
    held     |....|....|####|....|....|####|....|....|.|   after the window: the pages between live batches go back

A batch is a part: a view that keeps its own pages and no others.
"""

import mmap
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from scdataset._types import Array

__all__ = ["BufferPool", "Locked", "give_back_unused", "is_reused", "lock_pages", "part", "wait_for_memory"]

_SPARE = 4
"""Idle buffers that are retained: for the window read ahead, the one in use, and two more."""

_GRAIN = 1 << 20
"""Sizes are rounded up to this many bytes."""

_SLACK = 8
"""A new buffer is larger by one part in this many, so that the next window, a little larger, fits: memory that is never
touched takes up none."""

_GIVES_BACK = hasattr(mmap, "MADV_DONTNEED") and hasattr(mmap, "MAP_ANONYMOUS")
"""Whether the system takes single pages back."""

_LARGE = 1 << 22
"""Bytes from which on waiting for a buffer takes less time than to fill a new one with pages."""

_PAGES_PER_SECOND = 1e9
"""Bytes a second, about, in which new memory is given pages: so long a wait costs no more than new memory does."""

_PAUSE = 1e-4
"""Seconds between two looks."""

_MOST_VAIN = 3
"""Waits in vain after which a pool waits no more: the loop keeps its batches."""

_reader = threading.local()
"""Whether a thread reads ahead, and may wait: ``waits``."""

_over: "deque[weakref.ref[_Buffer]]" = deque()
"""Buffers of windows that are over, of which a part lives: as a rule the last batch, which the loop is about to
drop."""


class Locked(Protocol):
    """Pages of memory that a device reads by itself."""

    def wait(self) -> None:
        """Wait until the device reads nothing that it was told to read."""
        ...

    def unlock(self) -> None:
        """Unlock the pages."""
        ...


Lock = Callable[[int, int], Locked | None]
"""Locks the pages of ``n_bytes`` at an address; returns None if it cannot."""

_lock: Lock | None = None


def lock_pages(lock: Lock) -> None:
    """Lock the pages of windows that are read from now on, for a device that copies from them by itself.

    Locked pages are not given back before their memory is.
    """
    global _lock  # noqa: PLW0603 of the process, as the device is
    _lock = lock


class _Memory:
    """Bytes of which pages can be given back, where the system has a way to."""

    def __init__(self, n_bytes: int) -> None:
        self._locked: Locked | None = None
        self._tried: Lock | None = None
        self._pages: mmap.mmap | None = None
        if _GIVES_BACK:
            self._pages = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if hasattr(mmap, "MADV_HUGEPAGE"):
                self._pages.madvise(mmap.MADV_HUGEPAGE)  # as numpy does: fewer page faults
        self.array = np.empty(n_bytes, np.uint8) if self._pages is None else np.frombuffer(self._pages, np.uint8)
        self.address = self.array.__array_interface__["data"][0]

    def lock(self) -> None:
        """Lock the pages, if they are to be and are not yet; wait for a device that may still read them if they are."""
        if self._locked is not None:
            self._locked.wait()
        elif _lock is not None and _lock is not self._tried:
            self._tried = _lock
            self._locked = _lock(self.address, self.array.size)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if self._locked is not None and not is_finalizing():
            self._locked.wait()
            self._locked.unlock()

    def give_back(self, first: int, last: int) -> None:
        """Give the pages back that are wholly in bytes [first, last); they hold zeros then."""
        if self._locked is not None:  # the device would go on reading the old pages
            return
        first, last = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE, last // mmap.PAGESIZE * mmap.PAGESIZE
        if self._pages is not None and last > first:
            self._pages.madvise(mmap.MADV_DONTNEED, first, last - first)


class _Buffer:
    """Memory in use, from when it is handed out until the last array over it has died.

    Attributes
    ----------
    parts
        First and last byte, exclusive, of every part that lives.
    """

    def __init__(self, memory: _Memory, idle: "deque[_Memory]") -> None:
        self.memory = memory
        self.parts: dict[int, tuple[int, int]] = {}
        self._idle = idle
        self._is_trimmed = False

    def is_of(self, idle: "deque[_Memory]") -> bool:
        """Tell whether this is where its memory goes."""
        return self._idle is idle

    def trim(self) -> None:
        """Give back all but the pages of parts, now and whenever one of them dies."""
        self._is_trimmed = True  # first: a part that dies from here on gives itself back
        done = 0
        for first, last in sorted(self.parts.copy().values()):
            self.memory.give_back(done, first)
            done = max(done, last)
        self.memory.give_back(done, self.memory.array.size)

    def end_part(self, key: int) -> None:
        """Forget a part that has died."""
        first, last = self.parts.pop(key)
        if self._is_trimmed and self.parts:  # the last one leaves its pages to the next window
            self.memory.give_back(first, last)

    def __del__(self) -> None:
        self._idle.append(self.memory)


class _Lease:
    """All of a buffer: every array over it keeps this alive."""

    def __init__(self, buffer: _Buffer, array: Array) -> None:
        self.buffer = buffer
        self.__array_interface__ = array.__array_interface__

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        buffer = self.buffer
        if buffer.parts and not is_finalizing():
            _over.append(weakref.ref(buffer))
            if len(_over) > _SPARE:
                _trim_oldest()


class _Part:
    """A part of a buffer, which keeps the buffer's memory from being used again, but not the pages beside its own."""

    def __init__(self, buffer: _Buffer, array: Array) -> None:
        interface = array.__array_interface__
        first = interface["data"][0] - buffer.memory.address
        buffer.parts[id(self)] = first, first + array.nbytes
        self._buffer = buffer
        self.__array_interface__ = interface

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_finalizing():
            self._buffer.end_part(id(self))


class BufferPool:
    """Hands out memory and takes it back when the last view of it has died, never before.

    Pages are locked in a pool that ``is_of_windows``, if they are to be (`lock_pages`).

    Memory comes back from wherever its last view dies: in another thread, or in the midst of any statement here, when
    the garbage collector finds a view. So there is no lock, which could be held then, or by a thread that a fork leaves
    behind; the single operations of a deque and of a dict are atomic.
    """

    def __init__(self, *, is_of_windows: bool = False) -> None:
        self._idle: deque[_Memory] = deque(maxlen=_SPARE)
        self._is_of_windows = is_of_windows
        self._n_vain = 0

    def empty(self, size: int, dtype: DTypeLike) -> Array:
        """Return an uninitialised array of ``size`` elements, shape ``(size,)``."""
        n_bytes = size * np.dtype(dtype).itemsize
        if n_bytes < _GRAIN:  # a fresh one costs little, and does not keep a buffer from its return
            return np.empty(size, dtype)
        memory = self._take(_rounded(n_bytes))
        if self._is_of_windows:
            memory.lock()
        return _whole_array(_Lease(_Buffer(memory, self._idle), memory.array[:n_bytes].view(dtype)))

    def _take(self, n_bytes: int) -> _Memory:
        memory = self._take_idle(n_bytes)
        if memory is None and n_bytes >= _LARGE and self._n_vain < _MOST_VAIN and getattr(_reader, "waits", False):
            memory = self._awaited(n_bytes)
        return _Memory(_size_for(n_bytes)) if memory is None else memory

    def _awaited(self, n_bytes: int) -> _Memory | None:
        """Return the memory of a window that is over once its last batch dies; None if that is not to be waited for."""
        until = time.monotonic() + n_bytes / _PAGES_PER_SECOND
        while any(self._will_get(one()) for one in tuple(_over)):
            time.sleep(_PAUSE)
            memory = self._take_idle(n_bytes)
            if memory is not None:
                self._n_vain = 0
                return memory
            if time.monotonic() > until:
                self._n_vain += 1
                break
        return self._take_idle(n_bytes)

    def _will_get(self, buffer: _Buffer | None) -> bool:
        return buffer is not None and buffer.is_of(self._idle)

    def _take_idle(self, n_bytes: int) -> _Memory | None:
        for _ in range(len(self._idle)):
            try:
                memory = self._idle.pop()  # the last that came back, which may still be in the cache
            except IndexError:  # another thread took it
                break
            if _serves(memory.array.size, n_bytes):
                return memory
            self._idle.appendleft(memory)
        return None

    def __reduce__(self) -> tuple[Callable[[], "BufferPool"], tuple[()]]:
        return partial(BufferPool, is_of_windows=self._is_of_windows), ()


def is_reused(n_bytes: int, n_bytes_then: int) -> bool:
    """Tell whether an array of ``n_bytes_then`` gets the memory that an array of ``n_bytes`` had, once that died."""
    return _serves(_size_for(_rounded(n_bytes)), _rounded(n_bytes_then))


def _serves(n_bytes_there: int, n_bytes: int) -> bool:
    return n_bytes <= n_bytes_there <= 2 * n_bytes  # else a small array would keep a large buffer


def _size_for(n_bytes: int) -> int:
    return n_bytes + n_bytes // _SLACK


def _rounded(n_bytes: int) -> int:
    return -(-n_bytes // _GRAIN) * _GRAIN


def wait_for_memory() -> None:
    """Have this thread wait a moment for the memory of a window of which the loop is about to drop the last batch.

    The next read begins as that batch is dropped, and would often be an instant early: it would take new memory, and a
    third window would be resident.
    """
    _reader.waits = True


def part(array: Array, start: int, stop: int) -> Array | None:
    """Return ``array[start:stop]`` over the same memory, as a part of its buffer; None if it is not over a buffer."""
    lease = getattr(array.base, "base", None)
    if type(lease) is not _Lease or not array.flags.c_contiguous:
        return None
    return _whole_array(_Part(lease.buffer, array[start:stop]))


def give_back_unused() -> None:
    """Give back the pages of windows that are over which no batch holds: to be called where a loop has ended."""
    while _over:
        _trim_oldest()


def _trim_oldest() -> None:
    try:
        buffer = _over.popleft()()
    except IndexError:  # another thread took it
        return
    if buffer is not None:
        buffer.trim()


def _whole_array(owner: object) -> Array:
    """Return an array over an array of the same size: scipy copies an array that is a small part of its base."""
    return np.asarray(owner)[:]
