"""The limit of a machine for rows of a file: their bytes read into one reused buffer, and decoded where encoded.

plain     the byte ranges of the rows, neighbours joined, read into one buffer a thread and left there
encoded   the chunks that hold rows, each read and decoded once a window and thrown away
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import types
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.arrays.chunked_arrays import ChunkedArray, Chunks, piece_of
from scdataset.engine.arrays.spans import Spans
from scdataset.engine.arrays.stored_arrays import PlainArray, StoredArray
from scdataset.engine.kernels.chunks import chunks_of_spans
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.threads import Threads

__all__ = ["WindowReads"]

_GAP_BYTES = 4096
"""Bytes between two ranges that are read along, as the engine does."""

_BUFFER_BYTES = 1 << 20

_pread = types.ExternalFunction("pread", types.intp(types.int32, types.intp, types.uintp, types.int64))


@dataclass(frozen=True, slots=True)
class WindowReads:
    """The reads that a window cannot do without.

    Attributes
    ----------
    plain
        Arrays of plain bytes, and for each the first byte and the end of its ranges, shape ``(n_ranges,)``.
    encoded
        Chunks of encoded arrays, and the numbers of those that hold rows.
    """

    plain: tuple[tuple[PlainArray, NDArray[np.int64], NDArray[np.int64]], ...]
    encoded: tuple[tuple[Chunks, NDArray[np.int64]], ...]

    @classmethod
    def from_rows(
        cls, matrices: Sequence[object], firsts: Sequence[int], rows: NDArray[np.int64]
    ) -> "WindowReads | None":
        """Return the reads of ascending rows of matrices one below the other; None for other kinds of storage.

        ``firsts`` are the first rows of the matrices, and the number of all rows.
        """
        plain: list[tuple[PlainArray, NDArray[np.int64], NDArray[np.int64]]] = []
        encoded: list[tuple[Chunks, NDArray[np.int64]]] = []
        for matrix, first, last in zip(matrices, firsts[:-1], firsts[1:], strict=True):
            own = rows[(rows >= first) & (rows < last)] - first
            for array, spans in _arrays_of(matrix, own):
                if isinstance(array, PlainArray):
                    plain.append((array, *_joined(*array.ranges(spans))))
                elif isinstance(array, ChunkedArray):
                    encoded.append((array.chunks, chunks_of_spans(spans.starts, spans.lengths, array.chunks.length)[0]))
                else:
                    return None
        return cls(tuple(plain), tuple(encoded)) if plain or encoded else None

    @property
    def n_bytes(self) -> int:
        """Plain bytes that are read."""
        return sum(int((ends - begins).sum()) for _, begins, ends in self.plain)

    def run(self, threads: Threads, buffers: Sequence[NDArray[np.uint8]]) -> None:
        """Do the reads with all threads, each of which has a buffer."""
        parts = [(number, buffer, len(buffers)) for number, buffer in enumerate(buffers)]
        threads.run(partial(_share, self), parts)

    @staticmethod
    def buffers(threads: Threads) -> list[NDArray[np.uint8]]:
        """Return a buffer for each thread."""
        return [np.ones(_BUFFER_BYTES, np.uint8) for _ in range(threads.count)]


def _share(reads: WindowReads, number: int, buffer: NDArray[np.uint8], count: int) -> None:
    """Do one share of the reads."""
    for array, begins, ends in reads.plain:
        part = slice(*(np.array([number, number + 1]) * begins.size // count).tolist())
        with array.file.ready(begins[part], (ends - begins)[part]) as descriptor:
            if descriptor is None:
                array.file.read_many(begins[part].tolist(), (ends - begins)[part].tolist())
            else:
                _read_ranges(descriptor, begins[part], ends[part], buffer)
    for chunks, numbers in reads.encoded:
        for chunk in numbers[number::count].tolist():
            piece_of(chunks, chunk)
        chunks.check()


def _arrays_of(matrix: object, rows: NDArray[np.int64]) -> Iterator[tuple[StoredArray | None, Spans]]:
    """Yield the arrays of a matrix with the spans that hold rows; None for an array of another kind of matrix."""
    if isinstance(matrix, CsrMatrix):
        starts, lengths = matrix.table.spans(rows)
        yield from ((array, Spans(starts, lengths, starts)) for array in (matrix.data, matrix.indices))
    elif isinstance(matrix, DenseMatrix):
        yield from ((strip, matrix.spans(rows, rows, number)) for number, strip in enumerate(matrix.strips))
    else:
        yield None, Spans(rows, rows, rows)


def _joined(offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first bytes and ends of ranges, those close to each other as one."""
    order = np.argsort(offsets, kind="stable")
    begins, ends = offsets[order], np.maximum.accumulate((offsets + sizes)[order])
    apart = np.append(True, begins[1:] - ends[:-1] > _GAP_BYTES) if begins.size else np.empty(0, bool)
    lasts = np.append(np.flatnonzero(apart)[1:] - 1, begins.size - 1) if begins.size else np.empty(0, np.int64)
    return begins[apart], ends[lasts]


@compiled
def _read_ranges(
    descriptor: int, begins: NDArray[np.int64], ends: NDArray[np.int64], buffer: NDArray[np.uint8]
) -> None:
    for i in range(begins.size):
        done = begins[i]
        while done < ends[i]:
            size = min(ends[i] - done, buffer.size)
            done += max(_pread(descriptor, buffer.ctypes.data, size, done), 1)
