"""A compiled loop over chunks of blosc: read, decoded by the library's own function, and scattered, without the GIL."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.kernels.gather import OUT_OF_RANGE, SHORT_READ, read_into, scatter_piece

__all__ = ["scatter_blosc"]

_MONOTONIC = 1
_clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))


@intrinsic  # type: ignore[untyped-decorator]
def _decompress(typing_context: Any, function: Any, source: Any, target: Any, size: Any) -> Any:  # noqa: ARG001 numba's
    """Call ``blosc_decompress_ctx``, which is at the address ``function``, and return the bytes that it wrote."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:  # noqa: ARG001 as above
        address, number, length = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)
        kind = ir.FunctionType(number, [address, address, length, number])
        called = builder.inttoptr(arguments[0], kind.as_pointer())
        source, target = (builder.inttoptr(argument, address) for argument in arguments[1:3])
        return builder.call(called, [source, target, arguments[3], ir.Constant(number, 1)])

    return types.int32(types.intp, types.intp, types.intp, types.intp), generate


@compiled
def scatter_blosc(
    function: int,
    descriptors: NDArray[np.int64],
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
    function
        Address of ``blosc_decompress_ctx``.
    descriptors, offsets, sizes, numbers
        Of each chunk: the open file that holds it, its first byte and stored bytes, and its number in the array.
    firsts, lasts
        The first span in each chunk and its last + 1.
    item, starts, lengths, places, out, limit
        As for `scatter_piece`.
    stored, decoded
        Memory for the largest chunk as it is stored, and for exactly one decoded chunk.
    seconds
        Those of reading, decoding and scattering are added to it, shape ``(3,)``; empty not to look at the clock.

    Returns
    -------
    ``(0, n_chunks)``, or the chunk that ended it, with ``OUT_OF_RANGE``, or with ``SHORT_READ`` if it could not be
    read or is not of the size that it says.
    """
    header = stored[:16].view(np.uint32)
    length = decoded.size // item
    for i in range(numbers.size):
        begun = _now(seconds.size)
        size = sizes[i]
        if (
            size < 16
            or size > stored.size
            or not read_into(descriptors[i], np.int64(stored.ctypes.data), size, offsets[i])
        ):
            return SHORT_READ, i
        read = _now(seconds.size)
        if header[1] != decoded.size or header[3] != size:
            return SHORT_READ, i
        if _decompress(function, stored.ctypes.data, decoded.ctypes.data, decoded.size) != decoded.size:
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
