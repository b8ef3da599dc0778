"""Which chunks of a stored array hold spans of it."""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled

__all__ = ["chunks_of_spans"]


@compiled
def chunks_of_spans(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], chunk: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the chunks that hold spans, ascending, and for each its first span and its last + 1.

    ``chunk`` is the number of elements in one; spans are ascending by ``starts``.
    """
    n = 0
    previous = -1
    for i in range(starts.size):
        if lengths[i]:
            n += max((starts[i] + lengths[i] - 1) // chunk - max(starts[i] // chunk, previous + 1) + 1, 0)
            previous = max(previous, (starts[i] + lengths[i] - 1) // chunk)
    numbers = np.empty(n, np.int64)
    firsts = np.empty(n, np.int64)
    lasts = np.empty(n, np.int64)
    held = 0
    lowest = 0
    for i in range(starts.size):
        if lengths[i] == 0:
            continue
        begin = starts[i] // chunk
        end = (starts[i] + lengths[i] - 1) // chunk
        while lowest < held and numbers[lowest] < begin:
            lowest += 1
        for j in range(lowest, held):
            if numbers[j] <= end:
                lasts[j] = i + 1
        for number in range(begin if held == 0 else max(begin, numbers[held - 1] + 1), end + 1):
            numbers[held] = number
            firsts[held] = i
            lasts[held] = i + 1
            held += 1
    return numbers, firsts, lasts
