"""The limits of the machine: the bytes of the same rows, read, decoded where they are encoded, and nothing more done.

    plain     the byte ranges of the rows, read into one buffer a thread and left there
    encoded   the chunks that hold rows, each read and decoded once a window and thrown away

with as many threads as cores. Cold, a window's ranges are announced to the system one window ahead, as a fast reader
has to.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from time import perf_counter

import numpy as np
from numba import types
from numpy.typing import NDArray
from stored_arrays import StoredArray, stored_arrays

from scdataset import BlockShuffling
from scdataset._compiled import compiled

WINDOW = 16_384
THREADS = len(os.sched_getaffinity(0))

_GAP_BYTES = 4096
_BUFFER_BYTES = 1 << 20
_WILLNEED = 3

_pread = types.ExternalFunction("pread", types.intp(types.int32, types.intp, types.uintp, types.int64))
_fadvise = types.ExternalFunction("posix_fadvise", types.int32(types.int32, types.int64, types.int64, types.int32))

Ranges = NDArray[np.int64]
"""Number of a file, first byte and end, shape ``(n_ranges, 3)``."""


class Limit:
    """The limit for the first windows of an epoch.

    Parameters
    ----------
    path
        The store.
    block_size
        Of `BlockShuffling`.
    count
        Windows that are measured, after one that is not.
    """

    def __init__(self, path: Path, block_size: int, count: int) -> None:
        pointers, self._arrays = stored_arrays(path)
        windows = _windows(pointers.size - 1, block_size, count + 1)
        self._jobs = [[self._parts(array, pointers, rows) for array in self._arrays] for rows in windows]
        self._buffers = [np.empty(_BUFFER_BYTES, np.uint8) for _ in range(THREADS)]

    def rate(self, *, announced: bool) -> float:
        """Return rows a second."""
        opened = [[os.open(file, os.O_RDONLY) for file in array.files] for array in self._arrays]
        descriptors = [np.array(numbers, np.int64) for numbers in opened]
        with ThreadPoolExecutor(THREADS) as threads, ThreadPoolExecutor(1) as ahead:
            if announced:
                ahead.submit(self._announce, descriptors, 0)
            for number in range(len(self._jobs)):
                if number == 1:
                    start = perf_counter()
                if announced and number + 1 < len(self._jobs):
                    ahead.submit(self._announce, descriptors, number + 1)
                self._read(threads, descriptors, number)
            seconds = perf_counter() - start
        for descriptor in chain.from_iterable(opened):
            os.close(descriptor)
        return WINDOW * (len(self._jobs) - 1) / seconds

    def _parts(self, array: StoredArray, pointers: NDArray[np.int64], rows: NDArray[np.int64]) -> list[Ranges]:
        """Return what each thread reads of an array for a window."""
        if array.decode is None:
            ranges = [
                _byte_ranges(pointers[part], pointers[part + 1], array.places, array.chunk, array.item)
                for part in np.array_split(rows, THREADS)
            ]
            return [np.array(part, np.int64).reshape(-1, 3) for part in ranges]
        touched = _touched_chunks(pointers[rows], pointers[rows + 1], array.places.shape[0], array.chunk)
        places = array.places[touched]
        ends = np.column_stack([places[:, :2], places[:, 1] + places[:, 2]])
        return [ends[thread::THREADS] for thread in range(THREADS)]

    def _announce(self, descriptors: list[NDArray[np.int64]], number: int) -> None:
        for numbers, parts in zip(descriptors, self._jobs[number], strict=True):
            for part in parts:
                _advise_ranges(numbers, part)

    def _read(self, threads: ThreadPoolExecutor, descriptors: list[NDArray[np.int64]], number: int) -> None:
        jobs = self._jobs[number]

        def work(thread: int) -> None:
            for array, numbers, parts in zip(self._arrays, descriptors, jobs, strict=True):
                if array.decode is None:
                    _read_ranges(numbers, parts[thread], self._buffers[thread])
                else:
                    _decode_chunks(array.decode, numbers, parts[thread])

        list(threads.map(work, range(THREADS)))


def _windows(n_rows: int, block_size: int, count: int) -> list[NDArray[np.int64]]:
    """Return the rows of windows of an epoch, ascending; from its start again where it is too short."""
    order = BlockShuffling(block_size).order(n_rows, seed=0, epoch=0)
    whole = max(n_rows // WINDOW, 1)
    starts = [number % whole * WINDOW for number in range(count)]
    return [np.sort(order.rows(start, min(start + WINDOW, n_rows))) for start in starts]


def _decode_chunks(decode: Callable[[bytes], object], descriptors: NDArray[np.int64], ranges: Ranges) -> None:
    for file, start, stop in ranges.tolist():
        decode(os.pread(int(descriptors[file]), stop - start, start))


def _touched_chunks(
    starts: NDArray[np.int64], stops: NDArray[np.int64], n_chunks: int, chunk: int
) -> NDArray[np.int64]:
    """Return the numbers of the chunks that hold elements [starts, stops)."""
    some = stops > starts
    steps = np.zeros(n_chunks + 1, np.int64)
    np.add.at(steps, starts[some] // chunk, 1)
    np.add.at(steps, (stops[some] - 1) // chunk + 1, -1)
    return np.flatnonzero(np.cumsum(steps)[:-1])


@compiled
def _byte_ranges(
    starts: NDArray[np.int64], stops: NDArray[np.int64], places: NDArray[np.int64], chunk: int, item: int
) -> list[tuple[int, int, int]]:
    """Return where elements are stored, neighbours joined."""
    ranges = [(0, 0, 0) for _ in range(0)]
    for i in range(starts.size):
        begin = starts[i]
        while begin < stops[i]:
            number = begin // chunk
            until = min(stops[i], (number + 1) * chunk)
            first = places[number, 1] + (begin - number * chunk) * item
            end = first + (until - begin) * item
            if ranges and ranges[-1][0] == places[number, 0] and 0 <= first - ranges[-1][2] <= _GAP_BYTES:
                ranges[-1] = (ranges[-1][0], ranges[-1][1], end)
            else:
                ranges.append((places[number, 0], first, end))
            begin = until
    return ranges


@compiled
def _read_ranges(descriptors: NDArray[np.int64], ranges: Ranges, buffer: NDArray[np.uint8]) -> None:
    for i in range(ranges.shape[0]):
        done = ranges[i, 1]
        while done < ranges[i, 2]:
            size = min(ranges[i, 2] - done, buffer.size)
            done += max(_pread(descriptors[ranges[i, 0]], buffer.ctypes.data, size, done), 1)


@compiled
def _advise_ranges(descriptors: NDArray[np.int64], ranges: Ranges) -> None:
    for i in range(ranges.shape[0]):
        _fadvise(descriptors[ranges[i, 0]], ranges[i, 1], ranges[i, 2] - ranges[i, 1], _WILLNEED)
