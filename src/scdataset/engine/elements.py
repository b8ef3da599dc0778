"""Elements of stored arrays: spans of them, open_each into memory by the fastest way that the layout allows.

plain bytes in one file ──► compiled loop of pread, straight to the output
anything encoded        ──► threads: read a chunk, decode it, scatter its wanted elements
anything else           ──► the same, with chunks from the library that knows the format
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.codecs import decode
from scdataset.engine.files import OpenFile
from scdataset.engine.kernels import (
    OUT_OF_RANGE,
    READS_COMPILED,
    SHORT_READ,
    advise_spans,
    gather_numbers,
    gather_spans,
    run_of,
    scatter_piece,
)
from scdataset.engine.layout import NOT_STORED, ChunkTable, Layout
from scdataset.engine.spans import Columns, Spans, Target, scratch
from scdataset.errors import DamagedFileError

__all__ = [
    "BUFFER_BYTES",
    "GAP_BYTES",
    "ChunkElements",
    "Chunks",
    "Elements",
    "FileChunks",
    "PlainElements",
    "Task",
    "elements_at",
    "equal_parts",
    "piece_of",
]

GAP_BYTES = 4096
"""Bytes between two spans that are read along rather than skipped: a call costs about as much as copying them."""

BUFFER_BYTES = 1 << 18
"""Memory of a thread for spans that are read together: as much as stays in a core's own cache."""

_ADVISES = READS_COMPILED and hasattr(os, "posix_fadvise")
"""Whether the system can be told what will be read soon."""

Task = tuple[Callable[[int, int], None], int, int]
"""Work, and the part of it to be done: ``task[0](task[1], task[2])``."""


class Elements(Protocol):
    """A stored 1-D array."""

    dtype: np.dtype[Any]
    """Type of the elements, in the byte order of this machine."""

    def tasks(self, spans: Spans, out: NDArray[Any], columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that read spans to ``out``: about ``n_parts``, which may run at the same time."""
        ...

    def announce(self, spans: Spans) -> bool:
        """Tell the system that these spans will be read soon; False if it was not told, as for `Matrix`."""
        ...

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        ...


class PlainElements:
    """Plain bytes of one file, in chunks that are all there.

    Parameters
    ----------
    file, name
        The file, and the array's name in it for messages.
    dtype
        Type of the elements, in the byte order of this machine.
    chunk
        Elements in a chunk.
    offsets
        First byte of each chunk, shape ``(n_chunks,)``.
    """

    def __init__(self, file: OpenFile, name: str, dtype: np.dtype[Any], chunk: int, offsets: NDArray[np.int64]) -> None:
        self.dtype = dtype
        self.file = file
        self.chunk = chunk
        self.offsets = offsets
        self._name = name

    def tasks(self, spans: Spans, out: NDArray[Any], columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that read spans to ``out``."""

        def work(first: int, last: int) -> None:
            self.read(spans.part(first, last), out, columns)

        return [(work, *bounds) for bounds in equal_parts(spans.lengths, n_parts)]

    def read(self, spans: Spans, out: NDArray[Any], columns: Columns) -> None:
        """Read spans to ``out``."""
        self.check_stored(spans)
        status, span = self._gather(spans, out, columns) if READS_COMPILED else (SHORT_READ, 0)
        if status == SHORT_READ:  # a signal, or an error that the compiled loop has no name for
            status, span = self._gather_by_library(spans, out, columns)
        self.check()
        if status == OUT_OF_RANGE:
            number = int(spans.starts[span]) // self.chunk
            _refuse_out_of_range(self.file.path, self._name, number, columns.limit)

    def announce(self, spans: Spans) -> bool:
        """Tell the kernel which bytes will be read soon."""
        if not _ADVISES:
            return False
        item = self.dtype.itemsize
        starts = spans.starts[spans.lengths > 0]
        firsts = self.offsets[starts // self.chunk] + starts % self.chunk * item
        if self.file.in_page_cache(firsts):
            return False
        with self.opened() as place:
            advise_spans(*place, item, spans.starts, spans.lengths, GAP_BYTES // item)
        return True

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    @property
    def place(self) -> tuple[str, Layout]:
        """Name and layout, of which `elements_at` makes the same."""
        n_chunks = self.offsets.size
        sizes = np.full(n_chunks, self.chunk * self.dtype.itemsize)
        table = ChunkTable(self.offsets, sizes, np.zeros(n_chunks, np.uint32))
        return self._name, Layout((n_chunks * self.chunk,), self.dtype, (self.chunk,), table)

    @contextmanager
    def opened(self) -> Iterator[tuple[int, NDArray[np.int64], int]]:
        """Give the file descriptor of this process, the first byte of each chunk, and elements in a chunk."""
        with self.file.opened() as descriptor:
            yield descriptor, self.offsets, self.chunk

    def check(self) -> None:
        """Raise if the file was replaced."""
        self.file.check()

    def check_stored(self, spans: Spans) -> None:
        """Raise if spans, none of which goes beyond a chunk, are damaged, where the file has checksums."""
        if self.file.checks:
            item = self.dtype.itemsize
            firsts = self.offsets[spans.starts // self.chunk] + spans.starts % self.chunk * item
            self.file.check_bytes(firsts, spans.lengths * item)

    def _gather(self, spans: Spans, out: NDArray[Any], columns: Columns) -> tuple[int, int]:
        """Read spans by a compiled loop; see `gather_spans`."""
        item, where = self.dtype.itemsize, (spans.starts, spans.lengths, spans.places)
        max_gap, buffer = GAP_BYTES // item, scratch("buffer", BUFFER_BYTES)
        with self.opened() as place:
            if not columns.change(item, out):
                return gather_spans(*place, item, *where, out.view(np.uint8), columns.limit, max_gap, buffer)
            target, numbers = out.view(f"u{out.itemsize}"), buffer.view(f"u{item}")
            return gather_numbers(*place, *where, target, columns.limit, columns.table, max_gap, numbers)

    def _elements(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Read elements [start, stop) by ordinary system calls, as bytes.

        Raises
        ------
        DamagedFileError
            If the file cannot be read, or ends before ``stop``.
        """
        item, parts = self.dtype.itemsize, []
        while start < stop:
            chunk, inside = divmod(start, self.chunk)
            end = min(stop, (chunk + 1) * self.chunk)
            size = (end - start) * item
            stored = self.file.read_unchecked(int(self.offsets[chunk]) + inside * item, size)
            if len(stored) < size:
                self.check()
                message = f"{self.file.path}: {self._name} ends within or before chunk {chunk}; the file is truncated."
                raise DamagedFileError(message)
            parts.append(stored)
            start = end
        return np.frombuffer(b"".join(parts), np.uint8)

    def _gather_by_library(self, wanted: Spans, out: NDArray[Any], columns: Columns) -> tuple[int, int]:
        """Do the same by Python's system calls, which go on after a signal and name their errors."""
        item, first = self.dtype.itemsize, 0
        target = Target.of(wanted, out, columns, item)
        spans = target.spans
        where = spans.starts, spans.lengths, spans.places
        while first < spans.starts.size:
            begin = int(spans.starts[first])
            last, end = run_of(spans.starts, spans.lengths, first, GAP_BYTES // item, BUFFER_BYTES // item)
            piece = self._elements(begin, end)
            if scatter_piece(piece, item, begin, first, last, *where, target.octets, columns.limit):
                return OUT_OF_RANGE, first
            first = last
        target.finish(first)
        return 0, 0


class Chunks(Protocol):
    """The chunks of a stored 1-D array, decoded one at a time, from any thread."""

    path: str
    name: str
    dtype: np.dtype[Any]
    length: int
    """Elements in a chunk."""

    def piece(self, number: int) -> NDArray[Any]:
        """Return the elements of a chunk, shape ``(length,)`` or less for the last, in native byte order."""
        ...

    def check(self) -> None:
        """Raise if bytes read since the last check may be of another file than the one that was opened."""
        ...

    def announce(self, numbers: NDArray[np.int64]) -> bool:
        """Tell the system that these chunks will be read soon."""
        ...

    def close(self) -> None:
        """Close all files."""
        ...


def piece_of(chunks: Chunks, number: int) -> NDArray[Any]:
    """Return the elements of a chunk.

    Raises
    ------
    DamagedFileError
        If it cannot be read, or takes more memory than there is.
    """
    try:
        return chunks.piece(number)
    except MemoryError as error:
        message = f"{chunks.path}: chunk {number} of {chunks.name} takes more memory than there is ({error})."
        raise DamagedFileError(message) from error


class ChunkElements:
    """An array whose chunks are decoded whole, each at most once a read."""

    def __init__(self, chunks: Chunks) -> None:
        self.dtype = chunks.dtype
        self._chunks = chunks

    @property
    def place(self) -> tuple[str, Layout] | None:
        """Name and layout, of which `elements_at` makes the same; None where only a library can read them."""
        return self._chunks.place if isinstance(self._chunks, FileChunks) else None

    def tasks(self, spans: Spans, out: NDArray[Any], columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that decode the chunks of spans, and copy the spans to ``out``."""
        item, length = self.dtype.itemsize, self._chunks.length
        numbers, firsts, lasts = _touched(spans.starts, spans.lengths, length)

        def work(start: int, stop: int) -> None:
            for i in range(start, stop):
                begin = int(numbers[i]) * length
                own = spans.part(firsts[i], lasts[i])
                if columns.change(item, out):
                    own = own.within(begin, begin + length)
                piece = piece_of(self._chunks, int(numbers[i])).view(np.uint8)
                target = Target.of(own, out, columns, item)
                status = scatter_piece(
                    piece, item, begin, 0, own.starts.size, own.starts, own.lengths, target.spans.places, target.octets,
                    columns.limit,
                )  # fmt: skip
                if status == OUT_OF_RANGE:
                    self._chunks.check()
                    _refuse_out_of_range(self._chunks.path, self._chunks.name, int(numbers[i]), columns.limit)
                target.finish(own.starts.size)
            self._chunks.check()

        return [(work, *bounds) for bounds in equal_parts(np.ones(numbers.size, np.int64), n_parts)]

    def announce(self, spans: Spans) -> bool:
        """Tell the system which chunks will be read soon."""
        return self._chunks.announce(_touched(spans.starts, spans.lengths, self._chunks.length)[0])

    def close(self) -> None:
        """Close all files."""
        self._chunks.close()


class FileChunks:
    """Encoded chunks of one file, found by a table.

    Parameters
    ----------
    file, name
        The file, and the array's name in it for messages.
    dtype
        Type of the elements as they are stored.
    length
        Elements in a chunk.
    table, filters, fill
        As in `Layout`, for the chunks of this array.
    """

    def __init__(
        self,
        file: OpenFile,
        name: str,
        dtype: np.dtype[Any],
        length: int,
        table: ChunkTable,
        filters: tuple[tuple[str, Any], ...],
        fill: Any,
    ) -> None:
        self.path = file.path
        self.name = name
        self.dtype = dtype.newbyteorder("=")
        self.length = length
        self._stored = dtype
        self._file = file
        self._table = table
        self._filters = filters
        self._fill = fill

    @property
    def place(self) -> tuple[str, Layout]:
        """Name and layout."""
        shape = (self._table.offsets.size * self.length,)
        return self.name, Layout(shape, self._stored, (self.length,), self._table, self._filters, self._fill)

    def piece(self, number: int) -> NDArray[Any]:
        """Read and decode a chunk."""
        offset, size = int(self._table.offsets[number]), int(self._table.sizes[number])
        if offset == NOT_STORED:
            return np.full(self.length, self._fill, self.dtype)
        stored = self._file.read_unchecked(offset, size)
        if len(stored) != size:
            self._file.check()
            message = f"{self.path}: {self.name} ends within or before chunk {number}; the file is truncated."
            raise DamagedFileError(message)
        try:
            skipped, n_bytes = int(self._table.skipped[number]), self.length * self._stored.itemsize
            return decode(stored, self._filters, skipped, self._stored, n_bytes).astype(self.dtype, copy=False)
        except DamagedFileError as error:
            self._file.check()
            message = f"{self.path}: chunk {number} of {self.name} {error}."
            raise DamagedFileError(message) from error

    def check(self) -> None:
        """Raise if the file was replaced."""
        self._file.check()

    def announce(self, numbers: NDArray[np.int64]) -> bool:
        """Tell the kernel which bytes will be read soon."""
        stored = numbers[self._table.offsets[numbers] != NOT_STORED]
        # A chunk is a span of bytes here: element size 1, one chunk that is the file.
        starts, sizes = self._table.offsets[stored], self._table.sizes[stored]
        if not _ADVISES or self._file.in_page_cache(starts):
            return False
        order = np.argsort(starts)
        with self._file.opened() as descriptor:
            advise_spans(descriptor, np.zeros(1, np.int64), 1 << 62, 1, starts[order], sizes[order], GAP_BYTES)
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _refuse_out_of_range(path: str, name: str, chunk: int, limit: int) -> None:
    message = f"{path}: chunk {chunk} of {name} has column numbers outside [0, {limit}); the file is damaged."
    raise DamagedFileError(message)


def elements_at(file: OpenFile, name: str, layout: Layout) -> Elements:
    """Return the elements of an array, or of a strip of one, whose layout has a table of chunks."""
    length = math.prod(layout.chunk)
    table: Any = layout.table
    if layout.plain:
        return PlainElements(file, name, layout.dtype, length, table.offsets)
    return ChunkElements(FileChunks(file, name, layout.dtype, length, table, layout.filters, layout.fill))


def equal_parts(sizes: NDArray[np.int64], n_parts: int) -> list[tuple[int, int]]:
    """Cut [0, len(sizes)) into parts of about the same total size."""
    if sizes.size == 0:
        return []
    if n_parts == 1:
        return [(0, sizes.size)]
    total = np.cumsum(sizes)
    bounds = np.searchsorted(total, np.arange(1, n_parts) * (total[-1] / n_parts), side="left") + 1
    cuts = np.unique(np.concatenate(([0], np.minimum(bounds, sizes.size), [sizes.size])))
    return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))


@compiled
def _touched(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], chunk: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the chunks that hold spans, ascending, and for each its first span and its last + 1."""
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
