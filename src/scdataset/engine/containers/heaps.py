"""HDF5's view of a file through reads of our own, which keep damaged heaps of strings from the library.

Strings of variable length lie in global heap collections. The library walks through all objects of one by their sizes,
without end where a size takes it nowhere: see "Global Heap" in
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html. No option of h5py bounds that walk.
"""

import io
import os
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, TypeVar

import h5py
import numpy as np

from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.containers import hdf5_trees
from scdataset.engine.containers.hdf5_sources import OtherFiles, note_others, note_source
from scdataset.engine.containers.string_references import NOWHERE, damaged_attributes

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["open_checked", "tried"]

_MARK = b"GCOL\x01"
"""How a collection begins; its size follows after three more bytes."""

_SIZE_AT = 8
"""Where the size is in a collection, and in each of its objects."""

_WORD = 8
"""Bytes that objects begin at a multiple of."""

_OBJECTS = {2: Struct("<H6xH"), 4: Struct("<H6xI"), 8: Struct("<H6xQ")}
"""Headers of objects by the bytes of a size: the number of an object, 0 for free space, and its size."""

_BLOCK, _BLOCKS = 1 << 14, 64
"""Bytes that are read at least, and how many times that is kept."""

_LARGEST_HEADER = (1 << 16) - 1
"""Bytes of metadata that the library reads at once; longer reads are of values."""

_OVERFLOWS = (1 << 64) - 32
"""A size from which on its sum with a header may be zero."""

T = TypeVar("T")


def open_checked(file: ByteSource, others: OtherFiles, *, holds: bool = True) -> h5py.File:
    """Open a file for h5py, which gets its bytes from the very file whose identity was noted.

    Parameters
    ----------
    file
        Its bytes.
    others
        The files that have parts in it.
    holds
        Whether objects of the file are closed with it; else they keep it open.
    """
    note_source(file)
    if file.is_remote:
        hdf5_trees.start_fetching()
    stream = _Stream(file)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG if holds else h5py.h5f.CLOSE_WEAK)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, stream)
    opened = h5py.h5f.open(os.fsencode(file.path), h5py.h5f.ACC_RDONLY, access)
    properties = opened.get_create_plist()
    stream.size_bytes, stream.begin = properties.get_sizes()[1], properties.get_userblock()
    note_others(opened, others)
    return h5py.File(opened)


def tried(read: Callable[[], T]) -> tuple[T | None, bool]:
    """Return the result of reading files opened by `open_checked`, and False if that takes others, which are not read.

    It may be False because of other threads, and costs time then.
    """
    before = _Stream.n_others
    try:
        found = read()
    except Exception:
        if _Stream.n_others == before:
            raise
        return None, False
    return found, _Stream.n_others == before


class _Stream(io.RawIOBase):
    """The bytes of a file for h5py, which calls it under its own lock.

    A block that the library must not believe is given to it without its signature, and a reference without its place:
    it refuses these, while an exception raised in here is lost in some calls of h5py. No lock of ours is taken: the
    garbage collector may close objects of h5py, and so wait for h5py's lock, in a thread that holds ours.

    Attributes
    ----------
    size_bytes
        Bytes of a size in this file.
    begin
        Where its signature is, once it is open; None before.
    """

    n_others = 0
    """How often the library tried to open another file by the stream of one."""

    def __init__(self, file: ByteSource) -> None:
        self.size_bytes = 8
        self.begin: int | None = None
        self._file = file
        self._size = file.size
        self._raw = file.stream()
        self._at = 0
        self._blocks: dict[int, memoryview] = {}
        self._corrected: set[int] = set()
        self._heap: tuple[int, memoryview] = -1, memoryview(b"")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return where it is."""
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer, with zeros after the end of the file, as the library's own reads do."""
        start, view = self._at, memoryview(buffer).cast("B")
        self._copy(start, view)
        self._at += len(view)
        refused = start == self.begin
        _Stream.n_others += refused
        if view[: len(_MARK)] == _MARK:
            refused = refused or not self._leads_through(start, view)
        else:
            self._correct(start, view)
            if self._file.is_remote and view[: len(hdf5_trees.MARK)] == hdf5_trees.MARK:
                hdf5_trees.fetch_below(self._file, bytes(view), self.begin or 0)
        if refused:
            view[:] = bytes(len(view))
        return len(view)

    def _copy(self, start: int, view: memoryview) -> None:
        """Fill a buffer, a small one from blocks that are kept: the library asks for a few bytes at a time."""
        if (start, len(view)) == (self._heap[0], len(self._heap[1])):
            view[:] = self._heap[1]
            return
        number, offset = divmod(start, _BLOCK)
        if offset + len(view) > _BLOCK:
            self._fill(start, view)
            return
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= _BLOCKS:
                self._blocks.clear()
                self._corrected.clear()
            block = self._blocks[number] = memoryview(bytearray(_BLOCK))
            self._fill(number * _BLOCK, block)
        view[:] = block[offset : offset + len(view)]

    def _correct(self, start: int, view: memoryview) -> None:
        """Make damaged references of attributes lead nowhere, in a block once for all reads of it."""
        number, offset = divmod(start, _BLOCK)
        if offset + len(view) > _BLOCK:
            if len(view) <= _LARGEST_HEADER:
                self._lead_nowhere(view)
        elif number not in self._corrected:
            self._lead_nowhere(self._blocks[number])
            self._corrected.add(number)
            view[:] = self._blocks[number][offset : offset + len(view)]

    def _lead_nowhere(self, view: memoryview) -> None:
        for place in damaged_attributes(bytes(view), self._size):
            view[place : place + len(NOWHERE)] = NOWHERE

    def _fill(self, start: int, view: memoryview) -> None:
        """Read as much as there is, and fill up with zeros."""
        read = 0
        self._raw.seek(min(start, self._size))  # a damaged address may be beyond what a system can seek
        while read < len(view):
            more = self._raw.readinto(view[read:])
            if not more:
                break
            read += more
        view[read:] = bytes(len(view) - read)

    def _leads_through(self, start: int, view: memoryview) -> bool:
        """Return whether the walk through a collection ends; the library may have asked for its first bytes alone."""
        size = int.from_bytes(view[_SIZE_AT : _SIZE_AT + self.size_bytes], "little")
        if size > self._size - start:
            return False
        if len(view) < size:  # it asks for the whole next, and gets what is checked now
            self._heap = start, memoryview(bytearray(size))
            self._fill(*self._heap)
        elif (start, len(view)) == (self._heap[0], len(self._heap[1])):
            return True
        else:
            self._heap = start, memoryview(bytes(view[:size]))
        sound = _leads_through(bytes(self._heap[1]), self.size_bytes)
        self._heap = self._heap if sound else (-1, memoryview(b""))
        return sound

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()


def _leads_through(heap: bytes, size_bytes: int) -> bool:
    """Return whether the sizes of the objects of a collection lead from each to the next, and to its end."""
    if size_bytes not in _OBJECTS:
        return False  # the library knows no others
    if size_bytes == _WORD and not _may_stall(heap):
        return True
    read, end = _OBJECTS[size_bytes].unpack_from, len(heap)
    header = place = _aligned(_SIZE_AT + size_bytes)
    last = end - header
    while place <= last:
        number, size = read(heap, place)
        step = header + (size + 7 & -8) if number else size
        if not 0 < step <= end - place:
            return False
        place += step
    return True


def _may_stall(heap: bytes) -> bool:
    """Tell whether a collection has, anywhere, two words that lead nowhere as the header of an object.

    Nearly none has, and to look for them takes a tenth of the time of a walk.
    """
    words = np.frombuffer(heap, "<u8", len(heap) // _WORD)[2:]  # after the collection's own header
    numbers, sizes = words[:-1] & np.uint64(0xFFFF), words[1:]
    free = (numbers == 0) & ((sizes == 0) | (sizes % _WORD != 0))
    return bool((free | (sizes > _OVERFLOWS)).any())


def _aligned(size: int) -> int:
    return -(-size // _WORD) * _WORD
