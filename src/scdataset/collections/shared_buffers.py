"""Large arrays that are handed to worker processes in a file without a name, which all of them map.

Pickle sets the memory of contiguous arrays apart from the rest of an object ("out of band"), wherever in it they are:
row tables, codes of obs, indices, weights, labels::

    dataset ──pickle──► bytes, through the pipe to each worker
                └─────► buffers, written once to a file ──► mapped by worker 0, worker 1, ...

The file is in memory where the system has such files, and a temporary one otherwise. It never has a name, so that
nothing is left behind, however its processes end: workers get its descriptor. They map it privately, so that an array
can be written to as if it were a copy, which other processes do not see.
"""

import mmap
import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing import reduction
from multiprocessing.context import get_spawning_popen
from typing import Protocol, cast
from weakref import WeakKeyDictionary, finalize

from scdataset._types import RowData
from scdataset.collections.handles import dumps, loads

__all__ = ["Packed", "SharedBuffers"]

_MIN_BUFFER = 1 << 12
"""Bytes of the smallest array that is set apart: thousands of files have a small one each."""

_MIN_FILE = 1 << 20
"""Bytes of all arrays together from which on they go into a file."""

_ALIGNMENT = 64

_COMPARED = 1 << 20
"""Bytes that are compared at a time."""


class _Sent(Protocol):
    """A descriptor on its way to another process."""

    def detach(self) -> int:
        """Return it, in the other process."""
        ...


@dataclass(frozen=True, slots=True)
class Packed:
    """A pickled object and its large arrays, on the way to another process.

    Attributes
    ----------
    pickled
        All but the arrays.
    sizes
        Bytes of each array.
    content
        The arrays themselves, or the descriptor of the file that they are in, as multiprocessing sends it.
    """

    pickled: bytes
    sizes: list[int]
    content: "list[bytearray] | _Sent"

    def loads(self) -> RowData:
        """Make the object, over the mapped file if there is one."""
        buffers = self.content if isinstance(self.content, list) else _mapped(self.content.detach(), self.sizes)
        return loads(self.pickled, buffers=buffers)


class SharedBuffers:
    """The file of the large arrays of one object, which is written when the first process gets them.

    Another process gets the same file as long as the arrays are those that it holds, byte for byte.
    """

    def __init__(self) -> None:
        self._file: _File | None = None
        self._in_use: WeakKeyDictionary[object, _File] = WeakKeyDictionary()

    def dumps(self, value: RowData) -> Packed:
        """Pickle ``value`` for the process that is being started."""
        found: list[memoryview] = []

        def keep(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes >= _MIN_BUFFER:
                found.append(raw)
            return raw.nbytes < _MIN_BUFFER

        pickled = dumps(value, keep)
        sizes = [buffer.nbytes for buffer in found]
        if sum(sizes) >= _MIN_FILE and hasattr(reduction, "DupFd"):  # which Windows has not
            with suppress(OSError):  # no space: pickled as small ones are
                return Packed(pickled, sizes, self._sent(found))
        return Packed(pickled, sizes, [bytearray(buffer) for buffer in found])

    def _sent(self, buffers: Sequence[memoryview]) -> "_Sent":
        """Return the descriptor of the file, for the process that is being started."""
        if self._file is None or not self._file.holds(buffers):
            self._file = _File(buffers)
        # The descriptor is inherited when all has been pickled, and by then another thread may have replaced the file.
        self._in_use[get_spawning_popen()] = self._file
        return cast("_Sent", reduction.DupFd(self._file.descriptor))

    def __reduce__(self) -> tuple[type["SharedBuffers"], tuple[()]]:
        return SharedBuffers, ()


class _File:
    """A file without a name that holds arrays, closed when nothing refers to it."""

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        self.descriptor = _nameless_file()
        finalize(self, os.close, self.descriptor)
        self._sizes = [buffer.nbytes for buffer in buffers]
        with os.fdopen(self.descriptor, "wb", closefd=False) as stream:
            for buffer, (start, _) in zip(buffers, _bounds(self._sizes), strict=True):
                stream.seek(start)
                stream.write(buffer)

    def holds(self, buffers: Sequence[memoryview]) -> bool:
        """Tell whether these are the arrays that were written, byte for byte."""
        if self._sizes != [buffer.nbytes for buffer in buffers]:
            return False
        starts = [start for start, _ in _bounds(self._sizes)]
        with mmap.mmap(self.descriptor, 0, access=mmap.ACCESS_READ) as whole:
            return all(_are_same(whole, start, buffer) for start, buffer in zip(starts, buffers, strict=True))


def _nameless_file() -> int:
    """Return the descriptor of a new file."""
    if sys.platform == "linux":
        with suppress(OSError):  # forbidden by some sandboxes
            return os.memfd_create("scdataset")
    with tempfile.TemporaryFile(prefix="scdataset-") as file:
        return os.dup(file.fileno())


def _bounds(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return where in the file each array begins and ends."""
    starts = accumulate((-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes), initial=0)
    return [(start, start + size) for start, size in zip(starts, sizes, strict=False)]


def _mapped(descriptor: int, sizes: Sequence[int]) -> list[memoryview]:
    """Map the file of a descriptor, which is closed, and return the arrays in it."""
    try:
        whole = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY))
    finally:
        os.close(descriptor)
    return [whole[start:stop] for start, stop in _bounds(sizes)]


def _are_same(whole: mmap.mmap, start: int, buffer: memoryview) -> bool:
    """Compare piece by piece as bytes, which is many times as fast as to compare a memoryview."""
    pieces = ((first, min(first + _COMPARED, len(buffer))) for first in range(0, len(buffer), _COMPARED))
    return all(buffer[first:last].tobytes() == whole[start + first : start + last] for first, last in pieces)
