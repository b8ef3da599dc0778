"""Compiled loops: bytes of a file to elements of an array, each copied once, straight to its final place.

A *span* is a stretch of neighbouring elements of a stored 1-D array: ``starts[i]`` and ``lengths[i]``, and
``places[i]``, where the stretch goes in the output. Spans come in ascending order of ``starts`` and may repeat or
overlap.
"""

import os
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from scdataset._compiled import COMPILES, compiled
from scdataset.engine.stores import STEP, copy_past_cache

__all__ = [
    "ADVISE_WILLNEED",
    "NO_LIMIT",
    "OUT_OF_RANGE",
    "READS_COMPILED",
    "SHORT_READ",
    "advise_spans",
    "gather_spans",
    "reaches",
    "read_elements",
    "run_of",
    "scatter_piece",
]

SHORT_READ = -1
"""The file ended, or could not be read, before a span did."""

OUT_OF_RANGE = -2
"""An element was at or above the limit."""

NO_LIMIT = -1
"""Any element will do."""

ADVISE_WILLNEED = 3

_BEYOND_CACHE = 1 << 24
"""Bytes of an output that is too large to be found in the cache when it is used."""

_pread = types.ExternalFunction("pread", types.intp(types.int32, types.intp, types.uintp, types.int64))
_memcpy = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.uintp))
_posix_fadvise = types.ExternalFunction(
    "posix_fadvise", types.int32(types.int32, types.int64, types.int64, types.int32)
)


READS_COMPILED = COMPILES and hasattr(os, "pread")
"""Whether compiled loops read files; where not, Python reads them, and compiled loops find their bytes in memory."""


@compiled
def _read_into(descriptor: int, address: int, size: int, offset: int) -> bool:
    """Read exactly ``size`` bytes at ``offset`` to ``address``; False if there are not as many."""
    while size > 0:
        got = _pread(descriptor, address, size, offset)
        if got <= 0:
            return False
        address += got
        offset += got
        size -= got
    return True


@compiled
def read_elements(
    descriptor: int, offsets: NDArray[np.int64], chunk: int, start: int, stop: int, out: NDArray[Any], place: int
) -> bool:
    """Read elements [start, stop) to ``out[place:]``, chunk by chunk, joining chunks that lie side by side."""
    item = out.itemsize
    while start < stop:
        number = start // chunk
        inside = start - number * chunk
        end = min(stop, (number + 1) * chunk)
        while end < stop and offsets[end // chunk] == offsets[end // chunk - 1] + chunk * item:
            end = min(stop, end + chunk)
        if not _read_into(
            descriptor, out.ctypes.data + place * item, (end - start) * item, offsets[number] + inside * item
        ):
            return False
        place += end - start
        start = end
    return True


@compiled
def run_of(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], first: int, max_gap: int, room: int
) -> tuple[int, int]:
    """Return the end of the run of spans from ``first`` on: the next span, and the element after the run's last.

    Spans of a run are at most ``max_gap`` elements apart, and more than one of them take up no more than ``room``.
    """
    begin = starts[first]
    end = begin + lengths[first]
    last = first + 1
    while (
        last < starts.size and starts[last] <= end + max_gap and max(end, starts[last] + lengths[last]) <= begin + room
    ):
        end = max(end, starts[last] + lengths[last])
        last += 1
    return last, end


@compiled
def gather_spans(
    descriptor: int,
    offsets: NDArray[np.int64],
    chunk: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[Any],
    limit: int,
    columns: NDArray[np.int32],
    max_gap: int,
    buffer: NDArray[Any],
) -> tuple[int, int]:
    """Read spans of a stored array of plain bytes.

    Parameters
    ----------
    descriptor
        The open file.
    offsets, chunk
        First byte of each chunk, and elements in a chunk.
    starts, lengths, places
        The spans, ascending.
    out
        Where they go; unsigned integers.
    limit, columns
        As for `scatter_piece`.
    max_gap
        Elements between two spans that are read along rather than skipped.
    buffer
        Memory for spans that are read together, unsigned integers of the stored size.

    Returns
    -------
    ``(0, 0)``, or ``SHORT_READ`` or ``OUT_OF_RANGE`` and the span it happened in.
    """
    n = starts.size
    first: Any = np.int64(0)  # as what it becomes: what it is passed to would be compiled for both
    while first < n:
        begin = starts[first]
        last, end = run_of(starts, lengths, first, max_gap, buffer.size)
        if last == first + 1 and columns.size == 0 and out.itemsize == buffer.itemsize:  # straight to its place
            if not read_elements(descriptor, offsets, chunk, begin, end, out, places[first]):
                return SHORT_READ, first
            if reaches(out, places[first], lengths[first], limit):
                return OUT_OF_RANGE, first
        else:
            while begin < end:
                stop = min(end, begin + buffer.size)
                if not read_elements(descriptor, offsets, chunk, begin, stop, buffer, 0):
                    return SHORT_READ, first
                piece = buffer[: stop - begin]
                if scatter_piece(piece, begin, first, last, starts, lengths, places, out, limit, columns):
                    return OUT_OF_RANGE, first
                begin = stop
        first = last
    return 0, 0


@compiled
def scatter_piece(
    piece: NDArray[Any],
    piece_start: int,
    first: int,
    last: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[Any],
    limit: int,
    columns: NDArray[np.int32],
) -> int:
    """Copy spans [first, last) from a piece of a stored array.

    ``piece`` holds elements from ``piece_start`` on, as unsigned integers. Each has to be below ``limit``, unless
    that is ``NO_LIMIT``; below a limit they may go to an ``out`` of another size. With ``columns``, shape ``(limit,)``,
    what is written for element ``e`` is ``columns[e]``. Returns 0, or ``OUT_OF_RANGE``.
    """
    piece_stop = piece_start + piece.size
    for span in range(first, last):
        begin = max(starts[span], piece_start)
        end = min(starts[span] + lengths[span], piece_stop)
        if begin >= end:
            continue
        place = places[span] + begin - starts[span]
        if reaches(piece, begin - piece_start, end - begin, limit):
            return OUT_OF_RANGE
        if columns.size == 0 and out.itemsize == piece.itemsize:
            _copy(out, place, piece, begin - piece_start, end - begin)
        else:
            source = piece[begin - piece_start : end - piece_start]
            _convert(out[place : place + end - begin], source, columns)
    return 0


@compiled
def _convert(target: NDArray[Any], source: NDArray[Any], columns: NDArray[np.int32]) -> None:
    """Write numbers, or their entries in ``columns``, in another size."""
    if columns.size:
        for i in range(target.size):
            target[i] = columns[source[i]]
    else:
        for i in range(target.size):
            target[i] = source[i]


@compiled
def _copy(out: NDArray[Any], place: int, source: NDArray[Any], start: int, length: int) -> None:
    """Copy ``source[start : start + length]`` to ``out[place:]``, which are of one size and do not overlap."""
    if not COMPILES:
        out[place : place + length] = source[start : start + length]
        return
    item = out.itemsize
    target = out.ctypes.data + place * item
    origin = source.ctypes.data + start * item
    if out.size * item < _BEYOND_CACHE or length * item < 16 * STEP:
        _memcpy(target, origin, length * item)
        return
    head = -target % STEP
    steps = (length * item - head) // STEP
    tail = head + steps * STEP
    _memcpy(target, origin, head)
    for i in range(steps):
        copy_past_cache(target + head + i * STEP, origin + head + i * STEP)
    _memcpy(target + tail, origin + tail, length * item - tail)


@compiled
def reaches(values: NDArray[Any], start: int, length: int, limit: int) -> bool:
    """Tell whether one of some unsigned values is at or above the limit."""
    if limit == NO_LIMIT or length == 0:
        return False
    part = values[start : start + length]
    highest = part[0]
    for i in range(part.size):  # in the form that becomes vector instructions
        value = part[i]
        highest = value if value > highest else highest  # noqa: FURB136
    return bool(np.uint64(highest) >= np.uint64(limit))


@compiled
def advise_spans(
    descriptor: int,
    offsets: NDArray[np.int64],
    chunk: int,
    item: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    max_gap: int,
) -> None:
    """Tell the kernel which bytes of a stored array of plain bytes will be read soon."""
    first = 0
    while first < starts.size:
        begin = starts[first]
        end = begin + lengths[first]
        first += 1
        while first < starts.size and starts[first] <= end + max_gap:
            end = max(end, starts[first] + lengths[first])
            first += 1
        while begin < end:
            number = begin // chunk
            stop = min(end, (number + 1) * chunk)
            _posix_fadvise(
                descriptor, offsets[number] + (begin - number * chunk) * item, (stop - begin) * item, ADVISE_WILLNEED
            )
            begin = stop
