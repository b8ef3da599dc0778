"""Frames of Blosc2 as HDF5's filter stores them, one chunk in each: the sizes that they claim.

    header, perhaps with the shape of the chunk │ the chunk │ its place, as a chunk of 8 bytes │ trailer

The library takes as much memory as the header, the shape and the chunk claim, wherever the chunk lies:
https://github.com/Blosc/c-blosc2/blob/main/README_CFRAME_FORMAT.rst, and README_CHUNK_FORMAT.rst for chunks.
"""

import math
import struct
from collections.abc import Iterator

from scdataset._tables import counted

__all__ = ["blosc2_size"]

_MARK = b"\x9e\xa8b2frame\x00"

_HEADER = struct.Struct(">11xI x Q 5x x q x q x i x i x i")
"""Bytes of the header, the frame, the content, and the chunk as stored; of an element, a block, and a chunk."""

_N_METADATA, _METADATA = 92, 94
"""Where a header has the number of its metadata, and their names and places."""

_SHAPES = (b"b2nd", b"caterva")
"""Names of the metadata that have the shape of the chunk."""

_CHUNK = struct.Struct("<2x B x i i i 15x B")
"""Flags of a chunk, bytes of its content, of a block, and as stored; and more flags."""

_STORED, _ZEROS = 2, 1
"""A flag of chunks that are stored as they are, and the kind of those that are all zeros."""

_PLACE = 8
"""Bytes of the place of a chunk, which is negative for a chunk of equal values that is not stored."""

_AXES = 2
"""Axes that are padded to blocks at most, in arrays of one or two."""


def blosc2_size(view: memoryview, item: int) -> int:
    """Return the bytes of the content of a frame.

    Parameters
    ----------
    view
        The frame.
    item
        Bytes of an element.

    Raises
    ------
    ValueError
        If it is no such frame, or its chunk has more padding than blocks need.
    """
    try:
        return _size(view, item)
    except (struct.error, IndexError) as error:
        message = f"it is no frame of blosc2: {error}"
        raise ValueError(message) from error


def _size(view: memoryview, item: int) -> int:
    header, size, content, stored, element, block, chunk = _HEADER.unpack_from(view)
    if bytes(view[: len(_MARK)]) != _MARK or size != len(view) or min(content, stored, element, block, chunk) < 0:
        message = f"it is no frame of blosc2 of {counted(len(view), 'byte')}"
        raise ValueError(message)
    place = _place(view[header + stored :])
    held: list[int] = [chunk, block, content]
    if place >= 0:
        _, in_chunk, in_block, *_ = _CHUNK.unpack_from(view, header + place)
        held += [in_chunk, in_block]
    shapes = list(_shapes(view))
    if not shapes:
        return max(held)
    n_bytes = max(map(math.prod, shapes)) * max(item, int(element))
    most = n_bytes << _AXES  # of each axis, less than a block is padding
    if max(held) > most:
        message = f"its chunk says it takes {counted(max(held), 'byte')}, where it can take {most:,} at most"
        raise ValueError(message)
    return n_bytes


def _place(table: memoryview) -> int:
    """Return where the only chunk of a frame is behind its header."""
    flags, n_bytes, _, _, more = _CHUNK.unpack_from(table)
    if n_bytes != _PLACE:
        message = f"it has {n_bytes // _PLACE:,} chunks, where a filter stores one"
        raise ValueError(message)
    if more >> 4 & 7 == _ZEROS:
        return 0
    if not flags & _STORED:
        message = "the place of its chunk is compressed"
        raise ValueError(message)
    (place,) = struct.unpack_from("<q", table, _CHUNK.size)
    return int(place)


def _shapes(view: memoryview) -> Iterator[tuple[int, ...]]:
    """Yield the shapes that the metadata of a frame have."""
    (n_metadata,) = struct.unpack_from(">H", view, _N_METADATA)
    at = _METADATA
    for _ in range(n_metadata):
        length = view[at] & 31
        name = bytes(view[at + 1 : at + 1 + length])
        at += 1 + length + 5
        if name in _SHAPES:
            (place,) = struct.unpack_from(">I", view, at - 4)
            n_axes = view[place + 7]
            yield tuple(size for (size,) in struct.iter_unpack(">xq", view[place + 9 : place + 9 + 9 * n_axes]))
