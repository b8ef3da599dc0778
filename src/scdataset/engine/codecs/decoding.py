"""Filters and codecs: stored bytes of a chunk to its elements."""

import zlib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled, read_only
from scdataset._types import Array, BytesLike, DType
from scdataset.engine.codecs import compressors
from scdataset.engine.codecs.bitshuffle import bitshuffle
from scdataset.errors import DamagedFileError, MissingDependencyError

__all__ = ["FilterOption", "decode", "lzf"]

try:  # ISA-L inflates two to three times as fast
    from isal import isal_zlib as _zlib
except ImportError:
    _zlib = zlib  # type: ignore[misc]


FilterOption: TypeAlias = tuple[int, ...] | int | None
"""Options of a filter: the numbers that HDF5 keeps, a format, or none."""


def decode(
    stored: BytesLike, filters: tuple[tuple[str, FilterOption], ...], skipped: int, dtype: DType, n_bytes: int
) -> Array:
    """Undo the filters of a chunk, last applied first.

    Parameters
    ----------
    stored
        The chunk as it is in the file.
    filters, skipped
        Names and options of the filters, and which of them were not applied (bit i for filter i).
    dtype, n_bytes
        Type of the elements, and how many bytes they take when decoded.

    Returns
    -------
    The elements, shape ``(n_bytes / itemsize,)``, perhaps read-only.

    Raises
    ------
    DamagedFileError
        If the bytes are not those of the filters.
    MissingDependencyError
        If a filter needs numcodecs and it is not installed.
    """
    data = stored
    try:
        for number in reversed(range(len(filters))):
            if not skipped >> number & 1:
                name, option = filters[number]
                checksums = [i for i in range(number) if filters[i][0] in _CHECKSUMS and not skipped >> i & 1]
                data = _DECODERS[name](data, option, n_bytes + _CHECKSUM_BYTES * len(checksums))
    except MissingDependencyError:
        raise
    except Exception as error:
        message = f"cannot be decoded: {type(error).__name__}: {error}"
        raise DamagedFileError(message) from error
    found = len(data)
    if found != n_bytes:
        message = f"has {found} bytes when decoded, and {n_bytes} were written"
        raise DamagedFileError(message)
    return np.frombuffer(data, dtype)


def _gzip(data: BytesLike, _: object, room: int) -> bytes:
    return _inflated(data, 15, room)


def _gzip_file(data: BytesLike, _: object, room: int) -> bytes:
    return _inflated(data, 31, room)


def _inflated(data: BytesLike, window_bits: int, room: int) -> bytes:
    """Inflate a stream that has to end within ``room`` bytes, and no more of it."""
    if len(data) > room + room // 8 + 1024:
        message = f"its {len(data)} bytes are more than its stream of {room} bytes can take up"
        raise ValueError(message)
    stream = _zlib.decompressobj(window_bits)
    inflated: bytes = stream.decompress(data, room + 1)
    if not stream.eof:
        message = f"has more than {room} bytes when decoded" if len(inflated) > room else "its stream is truncated"
        raise ValueError(message)
    return inflated


def _shuffle(data: BytesLike, options: tuple[int, ...], _: int) -> NDArray[np.uint8]:
    return _unshuffle(read_only(np.frombuffer(data, np.uint8)), options[0])


def _fletcher32(data: BytesLike, _: object, __: int) -> memoryview:
    view = compressors.memory_of(data)
    stored = int.from_bytes(view[-4:], "little")
    found = int(_fletcher32_sum(read_only(np.frombuffer(view[:-4], np.uint8))))
    swapped = (found & 0xFF00FF00) >> 8 | (found & 0x00FF00FF) << 8  # as HDF5 1.6.2 wrote it
    if stored not in (found, swapped):
        message = f"its checksum is {stored:08x} and its bytes give {found:08x}"
        raise ValueError(message)
    return view[:-4]


def lzf(data: BytesLike, room: int) -> NDArray[np.uint8]:
    """Decode LZF, to ``room`` bytes at most.

    Raises
    ------
    ValueError
        If it has more, or points outside itself.
    """
    out = np.empty(room, np.uint8)
    written = _unlzf(read_only(np.frombuffer(data, np.uint8)), out)
    if written < 0:
        message = f"its LZF stream is broken, or unpacks to more than {room:,} bytes"
        raise ValueError(message)
    return out[:written]


_CHECKSUMS = {"fletcher32", "crc32c"}

_CHECKSUM_BYTES = 4
"""Bytes that each of them adds to a chunk before a later filter encodes it."""

_DECODERS: dict[str, Callable[[BytesLike, Any, int], BytesLike]] = {
    "gzip": _gzip,
    "gzip_file": _gzip_file,
    "shuffle": _shuffle,
    "fletcher32": _fletcher32,
    "lzf": lambda data, _, room: lzf(data, room),
    "bitshuffle": bitshuffle,
    "blosc": lambda data, _, room: compressors.blosc(data, room),
    "zstd": lambda data, _, room: compressors.zstd(data, room),
    "lz4": lambda data, _, room: compressors.lz4(data, room),
    "lz4_frames": lambda data, _, room: compressors.lz4_frames(data, room),
    "crc32c": lambda data, _, __: compressors.crc32c(data),
}
"""By name: ``gzip`` is HDF5's, which zarr calls zlib, ``gzip_file`` has the header of a .gz file; ``lz4`` is
framed as numcodecs does, ``lz4_frames`` as HDF5's filter does."""


@compiled
def _unshuffle(data: NDArray[np.uint8], item: int) -> NDArray[np.uint8]:
    """Put the bytes of each element together again: stored are all first bytes, then all second ones, and so on."""
    out = np.empty(data.size, np.uint8)
    n = data.size // item
    for byte in range(item):
        for i in range(n):
            out[i * item + byte] = data[byte * n + i]
    for i in range(n * item, data.size):
        out[i] = data[i]
    return out


@compiled
def _fletcher32_sum(data: NDArray[np.uint8]) -> int:
    """Return HDF5's checksum: Fletcher's, over 16-bit big-endian words, the last padded with zeros.

    Sums are taken modulo 65535, and HDF5 writes a sum that is a multiple of it, but not zero, as 65535.
    """
    low: Any = np.int64(0)
    high: Any = np.int64(0)
    for i in range(0, data.size, 2):
        low += np.int64(data[i]) << 8
        if i + 1 < data.size:
            low += np.int64(data[i + 1])
        high += low
        if i & 0xFFFF == 0:  # long before they overflow
            low = _folded(low)
            high = _folded(high)
    return (_folded(high) << 16) | _folded(low)


@compiled
def _folded(total: int) -> int:
    """Return 1 to 65535 for a total that is not zero, alike modulo 65535."""
    return (total - 1) % 65535 + 1 if total else 0


@compiled
def _unlzf(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Expand an LZF stream and return the bytes written, or -1 if it does not fit or points outside itself."""
    i = 0
    o = 0
    while i < data.size:
        control: Any = np.int64(data[i])
        i += 1
        if control < 32:
            length = control + 1
            if i + length > data.size or o + length > out.size:
                return -1
            for k in range(length):
                out[o + k] = data[i + k]
            i += length
        else:
            length = control >> 5
            if length == 7:
                if i >= data.size:
                    return -1
                length += np.int64(data[i])
                i += 1
            if i >= data.size:
                return -1
            source = o - ((control & 31) << 8) - np.int64(data[i]) - 1
            i += 1
            length += 2
            if source < 0 or o + length > out.size:
                return -1
            for k in range(length):
                out[o + k] = out[source + k]
        o += length
    return o
