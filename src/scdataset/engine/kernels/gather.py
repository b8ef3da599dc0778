"""Compiled loops: bytes of a file to elements of an array, each copied once, straight to its final place.

A *span* is a stretch of neighbouring elements of a stored 1-D array: ``starts[i]`` and ``lengths[i]``, and
``places[i]``, where the stretch goes in the output. Spans come in ascending order of ``starts`` and may repeat or
overlap.
"""

import os

import numpy as np
from numba import types
from numpy.typing import NDArray

from scdataset._compiled import COMPILES, compiled
from scdataset._types import Array
from scdataset.engine.kernels.nontemporal import STEP, copy_nontemporal

__all__ = [
    "ADVISE_WILLNEED",
    "NO_LIMIT",
    "OUT_OF_RANGE",
    "READS_COMPILED",
    "SHORT_READ",
    "advise_ranges",
    "gather_numbers",
    "gather_spans",
    "reaches",
    "read_elements",
    "read_into",
    "renumber_piece",
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
def read_into(descriptor: int, address: np.int64, size: int, offset: int) -> bool:
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
    descriptor: int, offsets: NDArray[np.int64], chunk: int, item: int, start: int, stop: int, address: np.int64
) -> bool:
    """Read elements [start, stop) of ``item`` bytes to an address, joining chunks that lie side by side."""
    while start < stop:
        number = start // chunk
        inside = start - number * chunk
        end = min(stop, (number + 1) * chunk)
        while end < stop and offsets[end // chunk] == offsets[end // chunk - 1] + chunk * item:
            end = min(stop, end + chunk)
        size = (end - start) * item
        if not read_into(descriptor, address, size, offsets[number] + inside * item):
            return False
        address += size
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
def _is_one(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], places: NDArray[np.int64], first: int, last: int
) -> bool:
    """Tell whether each of spans [first, last) begins, stored and in its place, where the one before ends."""
    for span in range(first + 1, last):
        length = lengths[span - 1]
        if starts[span] != starts[span - 1] + length or places[span] != places[span - 1] + length:
            return False
    return True


@compiled
def gather_spans(
    descriptor: int,
    offsets: NDArray[np.int64],
    chunk: int,
    item: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.uint8],
    limit: int,
    max_gap: int,
    buffer: NDArray[np.uint8],
) -> tuple[int, int]:
    """Read spans of a stored array of plain bytes.

    Parameters
    ----------
    descriptor
        The open file.
    offsets, chunk, item
        First byte of each chunk, elements in a chunk, and bytes of an element.
    starts, lengths, places
        The spans, ascending.
    out
        Where they go, as bytes.
    limit
        As for `scatter_piece`.
    max_gap
        Elements between two spans that are read along rather than skipped.
    buffer
        Memory for spans that are read together.

    Returns
    -------
    ``(0, 0)``, or ``SHORT_READ`` or ``OUT_OF_RANGE`` and the span it happened in.
    """
    room = buffer.size // item
    first = int(np.int64(0))  # as what it becomes: what it is passed to would be compiled for both
    while first < starts.size:
        begin = starts[first]
        last, end = run_of(starts, lengths, first, max_gap, room)
        if _is_one(starts, lengths, places, first, last):  # straight to its place
            place, size = places[first] * item, (end - begin) * item
            if not read_elements(descriptor, offsets, chunk, item, begin, end, np.int64(out.ctypes.data + place)):
                return SHORT_READ, first
            if limit != NO_LIMIT and _reaches(out[place : place + size], item, limit):
                return OUT_OF_RANGE, first
        else:
            if not read_elements(descriptor, offsets, chunk, item, begin, end, np.int64(buffer.ctypes.data)):
                return SHORT_READ, first
            piece = buffer[: (end - begin) * item]
            if scatter_piece(piece, item, begin, first, last, starts, lengths, places, out, limit):
                return OUT_OF_RANGE, first
        first = last
    return 0, 0


@compiled
def scatter_piece(
    piece: NDArray[np.uint8],
    item: int,
    piece_start: int,
    first: int,
    last: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.uint8],
    limit: int,
) -> int:
    """Copy spans [first, last) from a piece of a stored array.

    ``piece`` holds elements from ``piece_start`` on. It and ``out`` are bytes, ``item`` to an element, so that one
    loop is compiled for all types. As unsigned integers elements have to be below ``limit``, unless that is
    ``NO_LIMIT``. Returns 0, or ``OUT_OF_RANGE``.
    """
    piece_stop = piece_start + piece.size // item
    for span in range(first, last):
        begin = max(starts[span], piece_start)
        end = min(starts[span] + lengths[span], piece_stop)
        if begin >= end:
            continue
        source = piece[(begin - piece_start) * item : (end - piece_start) * item]
        if limit != NO_LIMIT and _reaches(source, item, limit):
            return OUT_OF_RANGE
        _copy(out, (places[span] + begin - starts[span]) * item, source)
    return 0


@compiled
def gather_numbers(
    descriptor: int,
    offsets: NDArray[np.int64],
    chunk: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: Array,
    limit: int,
    columns: NDArray[np.int32],
    max_gap: int,
    buffer: Array,
) -> tuple[int, int]:
    """Do as `gather_spans`, and write numbers as `renumber_piece` does; ``buffer`` is of the stored type."""
    item = buffer.itemsize
    first = int(np.int64(0))  # as in `gather_spans`
    while first < starts.size:
        begin = starts[first]
        last, end = run_of(starts, lengths, first, max_gap, buffer.size)
        while begin < end:
            stop = min(end, begin + buffer.size)
            if not read_elements(descriptor, offsets, chunk, item, begin, stop, np.int64(buffer.ctypes.data)):
                return SHORT_READ, first
            piece = buffer[: stop - begin]
            if renumber_piece(piece, begin, first, last, starts, lengths, places, out, limit, columns):
                return OUT_OF_RANGE, first
            begin = stop
        first = last
    return 0, 0


@compiled
def renumber_piece(
    piece: Array,
    piece_start: int,
    first: int,
    last: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: Array,
    limit: int,
    columns: NDArray[np.int32],
) -> int:
    """Write unsigned numbers of spans, or their entries in ``columns``, to ``out``, which may be of another size.

    Otherwise as `scatter_piece`.
    """
    piece_stop = piece_start + piece.size
    for span in range(first, last):
        begin = max(starts[span], piece_start)
        end = min(starts[span] + lengths[span], piece_stop)
        if begin >= end:
            continue
        own = piece[begin - piece_start : end - piece_start]
        if limit != NO_LIMIT and reaches(own, limit):
            return OUT_OF_RANGE
        place = places[span] + begin - starts[span]
        target = out[place : place + own.size]
        if columns.size:
            for i in range(own.size):
                target[i] = columns[own[i]]
        else:
            for i in range(own.size):
                target[i] = own[i]
    return 0


@compiled
def _copy(out: NDArray[np.uint8], place: int, source: NDArray[np.uint8]) -> None:
    """Copy ``source`` to ``out[place:]``; they do not overlap."""
    if not COMPILES:
        out[place : place + source.size] = source
        return
    size = source.size
    target = out.ctypes.data + place
    origin = source.ctypes.data
    if out.size < _BEYOND_CACHE or size < 16 * STEP:
        _memcpy(target, origin, size)
        return
    head = -target % STEP
    steps = (size - head) // STEP
    tail = head + steps * STEP
    _memcpy(target, origin, head)
    for i in range(steps):
        copy_nontemporal(target + head + i * STEP, origin + head + i * STEP)
    _memcpy(target + tail, origin + tail, size - tail)


@compiled
def _reaches(values: NDArray[np.uint8], item: int, limit: int) -> bool:
    """Tell whether one of some unsigned values of ``item`` bytes is at or above the limit.

    Words of eight bytes are compared as lanes of ``item`` bytes, so that one loop is compiled for all types. With half
    the range of a lane as its highest bit: ``half - limit`` added to the other bits of a value sets that bit if they
    reach the limit, and the bit of a value above ``half`` is set already. A limit above ``half`` needs both. No lane
    overflows into the next.
    """
    bits = np.uint64(8 * item)
    largest = ~np.uint64(0) >> (np.uint64(64) - bits)
    if values.size == 0 or np.uint64(limit) > largest:
        return False
    if limit == 0:
        return True
    half = np.uint64(1) << (bits - np.uint64(1))
    lanes = ~np.uint64(0) // largest
    tops = lanes * half
    is_low = np.uint64(limit) <= half
    added = lanes * ((half if is_low else half + half) - np.uint64(limit))
    found = np.uint64(0)
    words = np.frombuffer(values[: values.size // 8 * 8], np.uint64)
    for i in range(words.size):
        word = words[i]
        sums = (word & ~tops) + added
        found |= (sums | word) if is_low else (sums & word)
    last = np.uint64(0)
    for i in range(values.size // 8 * 8, values.size):
        last |= np.uint64(values[i]) << np.uint64(8 * (i % 8))
    sums = (last & ~tops) + added
    found |= (sums | last) if is_low else (sums & last)
    return bool(found & tops)


@compiled
def reaches(values: Array, limit: int) -> bool:
    """Tell whether one of some unsigned values is at or above the limit."""
    if values.size == 0:
        return False
    highest = values[0]
    for i in range(values.size):  # in the form that becomes vector instructions
        value = values[i]
        highest = value if value > highest else highest  # noqa: FURB136
    return bool(np.uint64(highest) >= np.uint64(limit))


@compiled
def advise_ranges(descriptor: int, offsets: NDArray[np.int64], sizes: NDArray[np.int64], max_gap: int) -> None:
    """Tell the kernel which bytes will be read soon, given ranges in ascending order; near ones are joined."""
    first = 0
    while first < offsets.size:
        begin = offsets[first]
        end = begin + sizes[first]
        first += 1
        while first < offsets.size and offsets[first] <= end + max_gap:
            end = max(end, offsets[first] + sizes[first])
            first += 1
        _posix_fadvise(descriptor, begin, end - begin, ADVISE_WILLNEED)
