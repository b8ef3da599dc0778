"""Compiled loops: bytes of a file to elements of an array, each copied once, straight to its final place.

A *span* is a stretch of neighbouring elements of a stored 1-D array: ``starts[i]`` and ``lengths[i]``, and
``places[i]``, where the stretch goes in the output. Spans come in ascending order of ``starts`` and may repeat or
overlap.
"""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from scdataset._compiled import compiled

__all__ = ["ADVISE_WILLNEED", "NO_LIMIT", "OUT_OF_RANGE", "SHORT_READ", "advise_spans", "gather_spans", "scatter_piece"]

SHORT_READ = -1
"""The file ended, or could not be read, before a span did."""

OUT_OF_RANGE = -2
"""An element was at or above the limit."""

NO_LIMIT = -1
"""Any element will do."""

ADVISE_WILLNEED = 3

_pread = types.ExternalFunction("pread", types.intp(types.int32, types.intp, types.uintp, types.int64))
_memcpy = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.uintp))
_posix_fadvise = types.ExternalFunction(
    "posix_fadvise", types.int32(types.int32, types.int64, types.int64, types.int32)
)


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
def _read_elements(
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
def gather_spans(
    descriptor: int,
    offsets: NDArray[np.int64],
    chunk: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[Any],
    limit: int,
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
        Where they go; unsigned integers of the stored size.
    limit
        What every element must be below, or ``NO_LIMIT``.
    max_gap
        Elements between two spans that are read along rather than skipped.
    buffer
        Memory for spans that are read together, of the type of ``out``.

    Returns
    -------
    ``(0, 0)``, or ``SHORT_READ`` or ``OUT_OF_RANGE`` and the span it happened in.
    """
    n = starts.size
    first = 0
    while first < n:
        begin = starts[first]
        end = begin + lengths[first]
        last = first + 1
        while (
            last < n and starts[last] <= end + max_gap and max(end, starts[last] + lengths[last]) <= begin + buffer.size
        ):
            end = max(end, starts[last] + lengths[last])
            last += 1
        if last == first + 1:
            if not _read_elements(descriptor, offsets, chunk, begin, end, out, places[first]):
                return SHORT_READ, first
            if _reaches(out, places[first], lengths[first], limit):
                return OUT_OF_RANGE, first
        else:
            if not _read_elements(descriptor, offsets, chunk, begin, end, buffer, 0):
                return SHORT_READ, first
            for span in range(first, last):
                source = starts[span] - begin
                place = places[span]
                _copy(out, place, buffer, source, lengths[span])
                if _reaches(out, place, lengths[span], limit):
                    return OUT_OF_RANGE, span
        first = last
    return 0, 0


@compiled
def _copy(out: NDArray[Any], place: int, source: NDArray[Any], start: int, length: int) -> None:
    """Copy ``source[start : start + length]`` to ``out[place:]``, which are of one type and do not overlap."""
    item = out.itemsize
    _memcpy(out.ctypes.data + place * item, source.ctypes.data + start * item, length * item)


@compiled
def _reaches(values: NDArray[Any], start: int, length: int, limit: int) -> bool:
    """Tell whether one of some unsigned values is at or above the limit."""
    if limit == NO_LIMIT or length == 0:
        return False
    highest = values.dtype.type(0)
    for value in values[start : start + length]:
        highest = max(highest, value)
    return bool(np.uint64(highest) >= np.uint64(limit))


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
) -> int:
    """Copy from a decoded piece of a stored array what spans [first, last) want of it.

    ``piece`` holds elements from ``piece_start`` on. Returns 0, or ``OUT_OF_RANGE``.
    """
    piece_stop = piece_start + piece.size
    for span in range(first, last):
        begin = max(starts[span], piece_start)
        end = min(starts[span] + lengths[span], piece_stop)
        if begin >= end:
            continue
        place = places[span] + begin - starts[span]
        _copy(out, place, piece, begin - piece_start, end - begin)
        if _reaches(out, place, end - begin, limit):
            return OUT_OF_RANGE
    return 0


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
