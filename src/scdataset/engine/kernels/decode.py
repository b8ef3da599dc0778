"""A compiled loop over encoded chunks: read, decoded by a library's own function, and scattered, without the GIL."""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.kernels.gather import OUT_OF_RANGE, SHORT_READ, read_into, scatter_piece

__all__ = ["BLOSC", "ZSTD", "scatter_encoded"]

BLOSC, ZSTD = 0, 1
"""Codecs: ``blosc_decompress_ctx`` and ``ZSTD_decompress`` decode them."""

_MONOTONIC = 1
_clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))


_ADDRESS, _INT32, _INT64 = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)


def _calling(result: ir.Type, *types_of_arguments: ir.Type) -> Callable[..., ir.Value]:
    """Return the code generator of a call of a C function, whose address is the first argument."""
    kind = ir.FunctionType(result, types_of_arguments)

    def generate(_context: object, builder: ir.IRBuilder, _: object, arguments: Sequence[ir.Value]) -> ir.Value:
        function, *values = arguments
        given = zip(values, types_of_arguments, strict=True)
        passed = [builder.inttoptr(value, own) if own is _ADDRESS else value for value, own in given]
        return builder.call(builder.inttoptr(function, kind.as_pointer()), passed)

    return generate


@intrinsic  # type: ignore[untyped-decorator]
def _blosc(_: object, function: int, source: int, target: int, size: int, n_threads: int) -> object:  # noqa: ARG001 types
    """Call ``blosc_decompress_ctx``, which is at the address ``function``, and return the bytes that it wrote."""
    signature = types.int32(types.intp, types.intp, types.intp, types.intp, types.int32)
    return signature, _calling(_INT32, _ADDRESS, _ADDRESS, _INT64, _INT32)


@intrinsic  # type: ignore[untyped-decorator]
def _zstd(_: object, function: int, target: int, size: int, source: int, n_stored: int) -> object:  # noqa: ARG001 types
    """Call ``ZSTD_decompress``, which is at the address ``function``, and return the bytes that it wrote."""
    signature = types.int64(types.intp, types.intp, types.intp, types.intp, types.intp)
    return signature, _calling(_INT64, _ADDRESS, _INT64, _ADDRESS, _INT64)


@compiled
def _decodes(function: int, codec: int, stored: NDArray[np.uint8], size: int, decoded: NDArray[np.uint8]) -> bool:
    """Decode a chunk of ``size`` bytes, and tell whether it filled ``decoded``."""
    source, target = stored.ctypes.data, decoded.ctypes.data
    if codec == ZSTD:
        return bool(_zstd(function, target, decoded.size, source, size) == decoded.size)
    header = stored[:16].view(np.uint32)  # which blosc believes
    if size < 16 or header[1] != decoded.size or header[3] != size:
        return False
    return bool(_blosc(function, source, target, decoded.size, np.int32(1)) == decoded.size)


@compiled
def scatter_encoded(
    function: int,
    codec: int,
    descriptor: int,
    offsets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    numbers: NDArray[np.int64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    item: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.uint8],
    limit: int,
    stored: NDArray[np.uint8],
    decoded: NDArray[np.uint8],
    seconds: NDArray[np.float64],
) -> tuple[int, int]:
    """Read and decode chunks, and copy their spans.

    Parameters
    ----------
    function, codec
        Address of the library's function, and `BLOSC` or `ZSTD`.
    descriptor
        The open file.
    offsets, sizes, numbers
        Of each chunk: its first byte and stored bytes, and its number in the array.
    firsts, lasts
        The first span in each chunk and its last + 1.
    item, starts, lengths, places, out, limit
        As for `scatter_piece`.
    stored, decoded
        Memory for the largest chunk as it is stored, at least 16 bytes, and for exactly one decoded chunk.
    seconds
        Those of reading, decoding and scattering are added to it, shape ``(3,)``; empty not to look at the clock.

    Returns
    -------
    ``(0, n_chunks)``, or the chunk that ended it, with ``OUT_OF_RANGE``, or with ``SHORT_READ`` if it could not be
    read or is not of the size that it says.
    """
    length = decoded.size // item
    for i in range(numbers.size):
        begun = _now(seconds.size)
        size = sizes[i]
        if size > stored.size:
            return SHORT_READ, i
        if not read_into(descriptor, np.int64(stored.ctypes.data), size, offsets[i]):
            return SHORT_READ, i
        read = _now(seconds.size)
        if not _decodes(function, codec, stored, size, decoded):
            return SHORT_READ, i
        unpacked = _now(seconds.size)
        begin = numbers[i] * length
        if scatter_piece(decoded, item, begin, firsts[i], lasts[i], starts, lengths, places, out, limit):
            return OUT_OF_RANGE, i
        if seconds.size:
            seconds[0] += read - begun
            seconds[1] += unpacked - read
            seconds[2] += _now(1) - unpacked
    return 0, numbers.size


@compiled
def _now(asked: int) -> float:
    """Return the seconds of a clock, or 0 if they are not asked for."""
    if not asked:
        return 0.0
    time = np.empty(2, np.int64)
    _clock_gettime(_MONOTONIC, time.ctypes.data)
    return float(time[0] + time[1] * 1e-9)
