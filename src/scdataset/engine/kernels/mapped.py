"""A compiled loop from a file that is mapped into memory to elements of an array; see `MemoryMap` for its dangers."""

import mmap

import numpy as np
from numba import types
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.kernels.gather import OUT_OF_RANGE, SHORT_READ, run_of, scatter_piece

__all__ = ["POPULATE_READ", "gather_mapped"]

POPULATE_READ = 22
"""MADV_POPULATE_READ of Linux 5.14, which Python has no name for: bring pages into memory, or return an error."""

_PAGE = mmap.PAGESIZE
_SEEK_END = 2

_madvise = types.ExternalFunction("madvise", types.int32(types.intp, types.uintp, types.int32))
_lseek = types.ExternalFunction("lseek", types.int64(types.int32, types.int64, types.int32))


@compiled
def _are_there(
    descriptor: int,
    octets: NDArray[np.uint8],
    asked: NDArray[np.uint8],
    n_asked: NDArray[np.int64],
    begin: int,
    end: int,
) -> bool:
    """Ask the system for the pages of bytes [begin, end), unless it was asked before, and tell whether it has them."""
    if begin < 0 or end > octets.size:
        return False
    first, last = begin // _PAGE, (end - 1) // _PAGE + 1
    missing = 0
    for page in range(first, last):
        missing += 1 - asked[page]
    if missing:
        if _madvise(octets.ctypes.data + first * _PAGE, (last - first) * _PAGE, POPULATE_READ) != 0:
            return False
        asked[first:last] = 1
        n_asked[0] += missing
    return bool(_lseek(descriptor, 0, _SEEK_END) >= end)


@compiled
def gather_mapped(
    descriptor: int,
    octets: NDArray[np.uint8],
    asked: NDArray[np.uint8],
    n_asked: NDArray[np.int64],
    offsets: NDArray[np.int64],
    chunk: int,
    item: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.uint8],
    limit: int,
    max_gap: int,
    room: int,
) -> tuple[int, int]:
    """Do as `gather_spans` from a file that is mapped: ``octets``, ``asked`` and ``n_asked`` are those of `MemoryMap`.

    ``room`` is the number of elements of a run, which the system is asked for together.
    """
    first = int(np.int64(0))  # as in `gather_spans`
    while first < starts.size:
        begin = starts[first]
        last, end = run_of(starts, lengths, first, max_gap, room)
        while begin < end:
            number = begin // chunk
            stop = min(end, (number + 1) * chunk)
            origin = offsets[number] + (begin - number * chunk) * item
            behind = origin + (stop - begin) * item
            if not _are_there(descriptor, octets, asked, n_asked, origin, behind):
                return SHORT_READ, first
            if scatter_piece(octets[origin:behind], item, begin, first, last, starts, lengths, places, out, limit):
                return OUT_OF_RANGE, first
            begin = stop
        first = last
    return 0, 0
