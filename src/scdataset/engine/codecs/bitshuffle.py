"""Bitshuffle, HDF5's filter 32008: the first bits of all elements of a block, then all second ones, and so on.

Blocks may be compressed one by one. Elements behind the last eight are left as they are. The format is that of
https://github.com/kiyo-masui/bitshuffle.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled, read_only
from scdataset._types import BytesLike
from scdataset.engine.codecs.compressors import check_size, lz4_block, memory_of, zstd

__all__ = ["bitshuffle"]

_HEADER = struct.Struct(">QI")
"""Header of a chunk with compressed blocks: its bytes, and those of a block, when decoded."""

_BLOCK = struct.Struct(">I")
"""Header of a compressed block: its stored bytes."""

_COMPRESSORS: dict[int, Callable[[memoryview, int], BytesLike]] = {2: lz4_block, 3: zstd}


def bitshuffle(data: BytesLike, options: tuple[int, ...], room: int) -> NDArray[np.uint8]:
    """Decode a chunk.

    Parameters
    ----------
    data
        The chunk.
    options
        As HDF5 keeps them: version (two numbers), bytes of an element, elements of a block or 0, and the compressor of
        blocks, 0 for none; perhaps more.
    room
        Bytes that were encoded.
    """
    item, block, compressor = (*options, 0, 0)[2:5]
    view = memory_of(data)
    if compressor == 0:
        block = (block or _default_block(item)) * item
        return _joined(view, len(view), block, item, lambda at, length: (view[at : at + length], at + length), 0)
    decompress = _COMPRESSORS[compressor]
    size, block = _HEADER.unpack_from(view)
    check_size(size, room)

    def decoded(at: int, length: int) -> tuple[BytesLike, int]:
        (stored,) = _BLOCK.unpack_from(view, at)
        at += _BLOCK.size
        return decompress(view[at : at + stored], length), at + stored

    return _joined(view, size, block, item, decoded, _HEADER.size)


def _joined(
    view: memoryview, size: int, block: int, item: int, decoded: Callable[[int, int], tuple[BytesLike, int]], at: int
) -> NDArray[np.uint8]:
    """Put the bits of ``size`` bytes together again; ``decoded`` gives the bytes of a block, and where the next is."""
    if item < 1 or size % item or block < 1 or block % (8 * item):
        message = f"its {size} bytes are not elements of {item} in blocks of {block}"
        raise ValueError(message)
    out = np.empty(size, np.uint8)
    start = 0
    for length in _lengths(size, block, 8 * item):
        part, at = decoded(at, length)
        untranspose = _untranspose if length % (64 * item) else _untranspose_words
        untranspose(read_only(np.frombuffer(part, np.uint8, length)), out[start : start + length], item)
        start += length
    out[start:] = np.frombuffer(view[at : at + size - start], np.uint8, size - start)
    return out


def _lengths(size: int, block: int, grain: int) -> Iterator[int]:
    """Return the bytes of each block: the last one has the rest, in whole groups of eight elements."""
    for start in range(0, size // grain * grain, block):
        yield min(block, (size - start) // grain * grain)


def _default_block(item: int) -> int:
    """Return the elements of a block where the file does not say: 8 KB of them, a multiple of eight."""
    return max(8192 // item // 8 * 8, 128)


@compiled
def _untranspose(data: NDArray[np.uint8], out: NDArray[np.uint8], item: int) -> None:
    """Gather the bits of each element; ``data`` holds a row of bits for each bit of an element, first bits lowest."""
    n_groups = data.size // (8 * item)  # eight elements each, which take a byte of every row
    for byte in range(item):
        row = byte * 8 * n_groups
        for group in range(n_groups):
            bits = np.uint64(0)
            for k in range(8):
                bits |= np.uint64(data[row + k * n_groups + group]) << np.uint64(8 * k)
            bits = _transposed(bits)
            place = group * 8 * item + byte
            for k in range(8):
                out[place + k * item] = np.uint8(bits >> np.uint64(8 * k) & np.uint64(0xFF))


@compiled
def _transposed(bits: Any) -> Any:
    """Transpose eight by eight bits: halves, then quarters, then eighths change places across the diagonal."""
    swap = (bits ^ (bits >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
    bits = bits ^ swap ^ (swap << np.uint64(7))
    swap = (bits ^ (bits >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
    bits = bits ^ swap ^ (swap << np.uint64(14))
    swap = (bits ^ (bits >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
    return bits ^ swap ^ (swap << np.uint64(28))


@compiled
def _untranspose_words(data: NDArray[np.uint8], out: NDArray[np.uint8], item: int) -> None:
    """Do the same four times as fast, where rows of bits are whole words: bit k of eight bytes at once."""
    n_words = data.size // (64 * item)
    words = np.frombuffer(data, np.uint64)
    gathered = np.empty(8 * n_words, np.uint64)  # of one byte of each element: those of elements 0, 8, ..., 1, 9, ...
    elements = np.frombuffer(gathered, np.uint8)
    lowest = np.uint64(0x0101010101010101)
    for byte in range(item):
        for k in range(8):
            for word in range(n_words):
                bits = np.uint64(0)
                for row in range(8):
                    bits |= (words[(byte * 8 + row) * n_words + word] >> np.uint64(k) & lowest) << np.uint64(row)
                gathered[k * n_words + word] = bits
        for k in range(8):
            for group in range(8 * n_words):
                out[(group * 8 + k) * item + byte] = elements[k * 8 * n_words + group]
