"""Bounds on chunks that a library unpacks to whatever size their bytes give, found before it takes the memory.

    stored ─► compressor ─► shuffle ─► compressor ─► elements      as decoded, last applied first
              each step held to the bytes that the elements may take

Some compressors say how much they hold, and take no more; others are streams, counted piece by piece.
"""

import bz2
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from scdataset._tables import counted
from scdataset._types import BytesLike
from scdataset.engine.codecs.blosc2 import blosc2_size
from scdataset.engine.codecs.compressors import claimed_size, memory_of, zstd_frames, zstd_size
from scdataset.engine.codecs.decoding import FilterOption, decode, lzf

__all__ = ["FREE", "UNBOUNDED", "Filters", "check_unpacked", "most_bytes", "unpacked"]

Filters: TypeAlias = Sequence[tuple[str, FilterOption]]
"""Names and options of filters, first applied first: those of `decode`, and others."""

FREE = 1 << 28
"""Bytes that any chunk may unpack to."""

_RATIO = 100
"""How many times as long as its stored bytes a longer one may be, where metadata do not say."""

UNBOUNDED = "SCDATASET_UNBOUNDED_CODECS"
"""Environment variable: with 1, codecs whose output cannot be bounded are left to their library."""

_STEP = 1 << 20
"""Bytes of a stream that are unpacked at a time."""

_LZMA_MEMORY = 1 << 28
"""Bytes that a decompressor of LZMA may take: a stream claims any size of its dictionary."""

_KEEP_SIZE = {"shuffle": 0, "fletcher32": 4, "crc32c": 4}
"""Filters that can be undone here, by the bytes that they add."""

_NOT_DECODED = {"szip", "blosc2", "sized"}
"""Filters whose size is told here, and not their content."""

_TRANSFORMS = {
    *("bytes", "transpose", "delta", "fixedscaleoffset", "quantize", "bitround", "astype", "packbits", "cast_value"),
    *("scale_offset", "crc32", "adler32", "jenkins_lookup3", "checksum", "vlen-utf8", "vlen-bytes"),
}
"""Filters that are not undone here, and give no more than eight times their input."""

_ITEM = 2
"""Which of the options of Blosc2 is the bytes of an element."""

_RATIOS = {"gzip": 1032, "gzip_file": 1032, "lzf": 88}
"""How many times as long as its stored bytes the content of these compressors is at most."""


_SizeOf: TypeAlias = Callable[[BytesLike, Any, int], int]
"""Takes the content, the option of the filter and the most bytes."""


class _Stream(Protocol):
    """A decompressor of one member of a stream; those of zlib also have an ``unconsumed_tail``."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def most_bytes(n_stored: int) -> int:
    """Return how many bytes ``n_stored`` bytes may unpack to where metadata do not say."""
    return max(FREE, n_stored * _RATIO)


def check_unpacked(stored: BytesLike, filters: Filters, most: int) -> None:
    """Raise if a compressor unpacks a chunk to more than ``most`` bytes.

    Raises
    ------
    ValueError
        With the bytes, as far as they are counted; or with the filter, if it cannot be told.
    DamagedFileError
        If a filter cannot decode the bytes.
    """
    undone = _undone(filters)
    for name, option in undone:
        if name == "sized":
            _size(stored, name, option, most)
    compressors = [number for number, (name, _) in enumerate(undone) if name in _SIZES and name != "sized"]
    if not compressors or _is_short(len(stored), undone):
        return
    first, outer = undone[compressors[0]], undone[compressors[0] + 1 :]
    hidden = [name for name, _ in outer if name in _NOT_DECODED]
    if hidden:
        _trust(f"{first[0]} under {hidden[-1]}")
        return
    _size(unpacked(stored, outer, most), *first, most)


def unpacked(stored: BytesLike, filters: Filters, most: int) -> BytesLike:
    """Return the bytes of a chunk under filters that can be undone here.

    Raises
    ------
    ValueError, DamagedFileError
        As `check_unpacked`.
    """
    content = stored
    if len(_undone(filters)) < len(filters):
        message = f"its codecs {[name for name, _ in filters]} are not known together"
        raise ValueError(message)
    for name, option in reversed(filters):
        size = _size(content, name, option, most)
        if name in _STREAMS:
            content = b"".join(_pieces(content, name, option, most))
        elif name == "zstd":
            content = zstd_frames(content)
        else:
            content = decode(content, ((name, option),), 0, np.dtype("u1"), size)
    return content


def _undone(filters: Filters) -> Filters:
    """Return the last of the filters, which can be undone here.

    Raises
    ------
    ValueError
        If one of the others may unpack to any size.
    """
    others = [n for n, (name, _) in enumerate(filters) if name not in _SIZES and name not in _KEEP_SIZE]
    first = max(others, default=-1) + 1
    unknown = [name for name, _ in filters[:first] if name not in _TRANSFORMS and name not in _KEEP_SIZE]
    if unknown:
        _trust(unknown[-1])
    return filters[first:]


def _trust(name: str) -> None:
    """Raise for a filter that may unpack to any size, unless the environment says that files are trusted."""
    if os.environ.get(UNBOUNDED) != "1":
        message = (
            f"{name} may unpack it to any size; store it by another codec, or set {UNBOUNDED}=1 if you trust its origin"
        )
        raise ValueError(message)


def _is_short(n_stored: int, filters: Filters) -> bool:
    """Tell whether a chunk is too short to unpack to much."""
    longest = n_stored
    for name, _ in filters:
        longest *= 1 if name in _KEEP_SIZE else _RATIOS.get(name, FREE)
    return longest <= FREE


def _size(content: BytesLike, name: str, option: FilterOption, most: int) -> int:
    """Return the bytes that a filter unpacks its content to."""
    size = len(content) - _KEEP_SIZE[name] if name in _KEEP_SIZE else _SIZES[name](content, option, most)
    if size > most:
        message = f"it unpacks to {counted(size, 'byte')} or more from {len(content):,}, where at most {most:,} can be"
        raise ValueError(message)
    return size


def _claimed(compressor: str) -> _SizeOf:
    return lambda content, _, __: claimed_size(compressor, content)


def _of_zstd(content: BytesLike, _: object, most: int) -> int:
    size, exact = zstd_size(memory_of(content))
    return size if exact or size > max(most, FREE) else min(size, most)


def _of_stream(compressor: str) -> _SizeOf:
    return lambda content, option, most: sum(map(len, _pieces(content, compressor, option, most)))


def _begins(n_bytes: int, order: Literal["little", "big"]) -> _SizeOf:
    """Return the function for a compressor whose output has the size that its first bytes say."""
    return lambda content, _, __: int.from_bytes(memory_of(content)[:n_bytes], order)


def _of_bitshuffle(content: BytesLike, option: tuple[int, ...], _: int) -> int:
    return int.from_bytes(memory_of(content)[:8], "big") if (*option, 0, 0)[4] else len(content)


def _of_blosc2(content: BytesLike, option: tuple[int, ...], _: int) -> int:
    return blosc2_size(memory_of(content), option[_ITEM] if len(option) > _ITEM else 1)


_SIZES: dict[str, _SizeOf] = {
    **{name: _claimed(name) for name in ("blosc", "lz4")},
    **{name: _of_stream(name) for name in ("gzip", "gzip_file", "bzip2", "lzma")},
    "zstd": _of_zstd,
    "lzf": lambda content, _, most: len(lzf(content, most)),
    "bitshuffle": _of_bitshuffle,
    "lz4_frames": _begins(8, "big"),
    "szip": _begins(4, "little"),
    "blosc2": _of_blosc2,
    "sized": lambda _, size, __: int(size),
}
"""Compressors of known kinds: the bytes they unpack a chunk to, counted no further than above the most."""

_STREAMS: dict[str, Callable[[Any], _Stream]] = {
    "gzip": lambda _: zlib.decompressobj(15),
    "gzip_file": lambda _: zlib.decompressobj(31),
    "bzip2": lambda _: bz2.BZ2Decompressor(),
    "lzma": lambda kind: lzma.LZMADecompressor(lzma.FORMAT_AUTO if kind is None else kind, _LZMA_MEMORY),
}
"""Those that do not say how much they hold."""


def _pieces(content: BytesLike, name: str, option: FilterOption, most: int) -> Iterator[bytes]:
    """Yield the unpacked members of a stream, up to one byte above ``most``.

    Raises
    ------
    ValueError
        If it is no such stream.
    """
    rest, left = bytes(content), most + 1
    try:
        while rest and left:
            member = _STREAMS[name](option)
            while left and not member.eof:
                piece = member.decompress(rest, min(_STEP, left))
                rest = getattr(member, "unconsumed_tail", b"")
                if not piece and not rest:
                    return  # cut short, which is told when it is decoded
                left -= len(piece)
                yield piece
            rest = member.unused_data
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        message = f"it is no stream of {name}: {error}"
        raise ValueError(message) from error
