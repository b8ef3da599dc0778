"""Compressors of numcodecs, held to the size of the content.

The size that a chunk claims is not trusted: a damaged or crafted one would otherwise take any amount of memory.
"""

import ctypes
import importlib
import struct
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scdataset._packages import missing
from scdataset._tables import counted
from scdataset._types import BytesLike
from scdataset.errors import MissingDependencyError

if TYPE_CHECKING:
    from numcodecs.abc import Codec

__all__ = [
    "blosc",
    "check_size",
    "claimed_size",
    "crc32c",
    "decoding_function",
    "lz4",
    "lz4_block",
    "lz4_frames",
    "memory_of",
    "zstd",
    "zstd_frames",
    "zstd_size",
]

_ZSTD_FRAME, _ZSTD_SKIPPED = b"\x28\xb5\x2f\xfd", range(0x184D2A50, 0x184D2A60)
"""How a frame of zstd begins, and one of no content, followed by its size: RFC 8878, 3.1."""

_ZSTD_BLOCK = 1 << 17
"""Bytes that a compressed block of it holds at most."""

_ZSTD_COMPRESSED = 2
"""The type of such a block; others say what they hold."""

_LZ4_FRAMES = struct.Struct(">QI")
"""Header of a chunk of HDF5's lz4 filter: bytes when decoded, and bytes of a block when decoded."""

_LZ4_BLOCK = struct.Struct(">I")
"""Header of its blocks: the stored bytes."""


_FUNCTIONS = {"blosc": "blosc_decompress_ctx", "zstd": "ZSTD_decompress"}


def memory_of(data: BytesLike) -> memoryview:
    """Return the memory of bytes; numpy types its arrays as buffers from Python 3.12 on."""
    return memoryview(data)  # type: ignore[arg-type]


def check_size(size: int, room: int) -> None:
    """Raise if a chunk claims more bytes than ``room``, which encoding twice may have made a little larger."""
    if size > room + room // 8 + 1024:
        message = f"it claims {counted(size, 'byte')} when decoded, where {room:,} were written"
        raise ValueError(message)


def claimed_size(compressor: str, data: BytesLike) -> int:
    """Return how many bytes a chunk of blosc or LZ4 says that it holds.

    Raises
    ------
    ValueError
        If it is too short for its header, or for the size in it.
    """
    view = memory_of(data)
    return _blosc_size(view) if compressor == "blosc" else int.from_bytes(view[:4], "little")


def blosc(data: BytesLike, room: int) -> BytesLike:
    """Decode blosc, version 1."""
    view = memory_of(data)
    check_size(_blosc_size(view), room)
    return _decompress_blosc()(view)


def _blosc_size(view: memoryview) -> int:
    # Blosc trusts its header: of a chunk that was cut short it decodes whatever lies behind it in memory.
    if len(view) < 16 or int.from_bytes(view[12:16], "little") != len(view):
        message = f"it has {counted(len(view), 'byte')}, not as many as its blosc header says"
        raise ValueError(message)
    return int.from_bytes(view[4:8], "little")


def zstd(data: BytesLike, room: int) -> NDArray[np.uint8]:
    """Decode a frame of zstd; one that does not say its size has to have ``room`` bytes."""
    said = _zstd_size(memory_of(data))
    size = room if said is None else said
    check_size(size, room)
    out = np.empty(size, np.uint8)
    _numcodecs("Zstd").decode(data, out)
    return out


def lz4(data: BytesLike, room: int) -> BytesLike:
    """Decode LZ4 as numcodecs frames it: the size, then one block."""
    view = memory_of(data)
    check_size(int.from_bytes(view[:4], "little"), room)
    decoded: BytesLike = _numcodecs("LZ4").decode(view)
    return decoded


def lz4_block(data: memoryview, size: int) -> BytesLike:
    """Decode a block of LZ4 without a frame, which has to give ``size`` bytes."""
    decoded: BytesLike = _numcodecs("LZ4").decode(size.to_bytes(4, "little") + bytes(data))
    return decoded


def lz4_frames(data: BytesLike, room: int) -> NDArray[np.uint8]:
    """Decode LZ4 as HDF5's filter 32004 frames it: in blocks; those that do not shrink are stored as they are."""
    view = memory_of(data)
    size, block = _LZ4_FRAMES.unpack_from(view)
    check_size(size, room)
    out = np.empty(size, np.uint8)
    at = _LZ4_FRAMES.size
    for start in range(0, size, max(block, 1)):
        length = min(block, size - start)
        (stored,) = _LZ4_BLOCK.unpack_from(view, at)
        at += _LZ4_BLOCK.size
        part = view[at : at + stored]
        at += stored
        out[start : start + length] = np.frombuffer(part if stored == length else lz4_block(part, length), np.uint8)
    return out


def crc32c(data: BytesLike) -> memoryview:
    """Check and take off a checksum of four bytes at the end."""
    return memoryview(_numcodecs("CRC32C").decode(data))


def zstd_frames(data: BytesLike) -> BytesLike:
    """Decode frames of zstd, whatever their number and size."""
    decoded: BytesLike = _numcodecs("Zstd").decode(data)
    return decoded


def zstd_size(view: memoryview) -> tuple[int, bool]:
    """Return how many bytes frames of zstd hold at most, and whether they say so, all of them.

    Raises
    ------
    ValueError
        If they are no frames of zstd.
    """
    said, most, exact, at = 0, 0, True, 0
    while at < len(view) or at == 0:
        size, held, at = _zstd_frame(view, at)
        exact = exact and size is not None
        said, most = said + (size or 0), most + held
    return (said, True) if exact else (most, False)


def _zstd_frame(view: memoryview, start: int) -> tuple[int | None, int, int]:
    """Return the bytes a frame says it holds, those that it may hold by its blocks, and where it ends."""
    if int.from_bytes(view[start : start + 4], "little") in _ZSTD_SKIPPED:
        return 0, 0, start + 8 + int.from_bytes(view[start + 4 : start + 8], "little")
    said, at = _zstd_header(view[start:])
    at, held, last = start + at, 0, False
    while not last and at + 3 <= len(view):
        block = int.from_bytes(view[at : at + 3], "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        held += _ZSTD_BLOCK if kind == _ZSTD_COMPRESSED else size
        at += 3 + (1 if kind == 1 else size)
    return said, held, at + 4 * (view[start + 4] >> 2 & 1) if last else len(view)


def _zstd_size(view: memoryview) -> int | None:
    """Return how many bytes a frame says it holds, or None where it does not say."""
    return _zstd_header(view)[0]


def _zstd_header(view: memoryview) -> tuple[int | None, int]:
    """Return how many bytes a frame says it holds, or None, and the size of its header: RFC 8878, 3.1.1.1."""
    if len(view) < 6 or bytes(view[:4]) != _ZSTD_FRAME:
        message = "its bytes are no zstd frame"
        raise ValueError(message)
    descriptor = view[4]
    single = descriptor >> 5 & 1
    n_bytes = (single, 2, 4, 8)[descriptor >> 6]
    at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    if n_bytes == 0:
        return None, at
    return int.from_bytes(view[at : at + n_bytes], "little") + (256 if n_bytes == 2 else 0), at + n_bytes


@cache
def _decompress_blosc() -> Callable[[memoryview], bytes]:
    """Return the function under numcodecs' codec, whose checks take as long as decoding some kilobytes."""
    _numcodecs("Blosc")
    decompress: Callable[[memoryview], bytes] = importlib.import_module("numcodecs.blosc").decompress
    return decompress


@cache
def decoding_function(codec: str) -> int | None:
    """Return the address of the function of blosc or zstd that decodes a chunk; None where numcodecs hides it."""
    try:
        _numcodecs(codec.capitalize())
        library = ctypes.CDLL(importlib.import_module(f"numcodecs.{codec}").__file__)
        return ctypes.cast(getattr(library, _FUNCTIONS[codec]), ctypes.c_void_p).value
    except (MissingDependencyError, OSError, AttributeError):
        return None


@cache
def _numcodecs(name: str) -> "Codec":
    """Return a codec of numcodecs, which is imported when a file first needs it."""
    try:
        return getattr(importlib.import_module("numcodecs"), name)()
    except (ImportError, AttributeError) as error:
        needed_for = f"Reading {name} chunks"
        raise missing(needed_for, "numcodecs[crc32c]") from error
