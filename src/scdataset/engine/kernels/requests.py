"""Bytes and system calls of the compiled loops that read plain bytes, worked out where statistics are asked for."""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.kernels.gather import run_of

__all__ = ["byte_ranges", "count_requests"]


@compiled
def count_requests(
    offsets: NDArray[np.int64],
    chunk: int,
    item: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    max_gap: int,
    room: int,
    split: bool,  # noqa: FBT001 numba takes no keywords
) -> tuple[int, int]:
    """Return the calls to the system and the bytes of a loop such as `gather_spans` over the same spans.

    Parameters
    ----------
    offsets, chunk, item, starts, lengths, max_gap
        As for `gather_spans`.
    room
        Elements that its buffer holds.
    split
        Whether a run that is longer than the buffer is read in pieces, as by `gather_numbers`.
    """
    requests = 0
    n_bytes = 0
    first = 0
    while first < starts.size:
        begin = starts[first]
        first, end = run_of(starts, lengths, first, max_gap, room)
        while begin < end:
            stop = min(end, begin + room) if split else end
            while begin < stop:  # as `read_elements` joins chunks that lie side by side
                until = min(stop, (begin // chunk + 1) * chunk)
                while until < stop and offsets[until // chunk] == offsets[until // chunk - 1] + chunk * item:
                    until = min(stop, until + chunk)
                requests += 1
                n_bytes += (until - begin) * item
                begin = until
    return requests, n_bytes


@compiled
def byte_ranges(
    offsets: NDArray[np.int64], chunk: int, item: int, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first byte and the bytes of each part of a span in a chunk, of an array as in `gather_spans`."""
    n = 0
    for i in range(starts.size):
        if lengths[i]:
            n += (starts[i] + lengths[i] - 1) // chunk - starts[i] // chunk + 1
    firsts = np.empty(n, np.int64)
    sizes = np.empty(n, np.int64)
    k = 0
    for i in range(starts.size):
        start, stop = starts[i], starts[i] + lengths[i]
        while start < stop:
            number = start // chunk
            end = min(stop, (number + 1) * chunk)
            firsts[k] = offsets[number] + (start - number * chunk) * item
            sizes[k] = (end - start) * item
            k += 1
            start = end
    return firsts, sizes
