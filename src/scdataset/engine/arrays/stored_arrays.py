"""Stored 1-D arrays: spans of them, gathered into memory in the fastest way that their storage allows.

plain bytes in one file ──► `PlainArray`: compiled loop of pread, straight to the output
anything else           ──► `ChunkedArray`, in `chunked_arrays`: chunks are decoded, by the library if need be
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array, DType
from scdataset.engine.arrays.chunk_index import ChunkIndex, ChunkTable
from scdataset.engine.arrays.in_file import InFile
from scdataset.engine.arrays.read_cost import Asked, ReadCost
from scdataset.engine.arrays.spans import Columns, Spans, Target, scratch
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.kernels.gather import (
    OUT_OF_RANGE,
    READS_COMPILED,
    SHORT_READ,
    gather_numbers,
    gather_spans,
    run_of,
    scatter_piece,
)
from scdataset.engine.kernels.mapped import gather_mapped
from scdataset.engine.kernels.requests import byte_ranges, count_requests
from scdataset.engine.observer import READ, SCATTER, observed, observer_here
from scdataset.errors import DamagedFileError

__all__ = ["BUFFER_BYTES", "GAP_BYTES", "PlainArray", "StoredArray", "Task", "equal_tasks", "refuse_out_of_range"]

GAP_BYTES = 4096
"""Bytes between two spans that are read along rather than skipped: a call costs about as much as copying them."""

BUFFER_BYTES = 1 << 18
"""Memory of a thread for spans that are read together: as much as stays in a core's own cache."""

_TOGETHER_BYTES = 1 << 24
"""Bytes that are asked for together, of a source that compiled loops cannot read."""

_FEW = 32
"""Spans that are looked at to tell whether all have to be announced."""

_NO_RANGES = np.empty(0, np.int64), np.empty(0, np.int64)

Task = tuple[Callable[[int, int], None], int, int]
"""Work, and the part of it to be done: ``task[0](task[1], task[2])``."""


class StoredArray(Protocol):
    """A stored 1-D array."""

    dtype: DType
    """Type of the elements, in the byte order of this machine."""

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        ...

    def tasks(self, spans: Spans, out: Array, columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that read spans to ``out``: about ``n_parts``, which may run at the same time."""
        ...

    def announce(self, spans: Spans) -> int:
        """Tell the system that these spans will be read soon, and return the number of requests, as for `Matrix`."""
        ...

    def read_cost(self, spans: Spans) -> ReadCost:
        """Return the cost of reading these spans, ascending; nothing of the array is read."""
        ...

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        ...


class PlainArray(InFile):
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

    def __init__(self, file: ByteSource, name: str, dtype: DType, chunk: int, offsets: NDArray[np.int64]) -> None:
        super().__init__(file)
        self.dtype = dtype
        self.chunk = chunk
        self.offsets = offsets
        self._name = name

    def tasks(self, spans: Spans, out: Array, columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that read spans to ``out``; a remote source is asked for all of them at once."""
        if self.file.is_remote:
            self.announce(spans)

        def work(first: int, last: int) -> None:
            self.read(spans.part(first, last), out, columns)

        return equal_tasks(work, spans.lengths, n_parts)

    def read(self, spans: Spans, out: Array, columns: Columns) -> None:
        """Read spans to ``out``."""
        status, span = self._gather(spans, out, columns)
        if status == SHORT_READ:  # no descriptor, a signal, or an error that the compiled loop has no name for
            status, span = self._gather_by_ranges(spans, out, columns)
        self.file.check()
        if status == OUT_OF_RANGE:
            number = int(spans.starts[span]) // self.chunk
            refuse_out_of_range(self.file.path, self._name, number, columns.limit)

    def announce(self, spans: Spans) -> int:
        """Tell the kernel which bytes will be read soon; no ranges are computed if a few show that all are there."""
        if self.offsets.size == 0:
            return 0
        some = spans.starts[:: max(spans.starts.size // _FEW, 1)]
        numbers = np.minimum(some // self.chunk, self.offsets.size - 1)  # an empty span may be at the end
        if self.file.is_in_memory(self.offsets[numbers] + (some - numbers * self.chunk) * self.dtype.itemsize):
            return 0
        return self.file.announce(*self.ranges(spans))

    def read_cost(self, spans: Spans) -> ReadCost:
        """Return the bytes of spans and of the gaps that are read along."""
        item, where = self.dtype.itemsize, (spans.starts, spans.lengths)
        limits = GAP_BYTES // item, BUFFER_BYTES // item
        requests, n_bytes = count_requests(self.offsets, self.chunk, item, *where, *limits, False)  # noqa: FBT003
        asked = (Asked(self.file, *self.ranges(spans)),) if self.is_remote else ()
        return ReadCost(0, requests, n_bytes, n_bytes, item * int(spans.lengths.sum()), asked=asked)

    def request(self, spans: Spans) -> None:
        """Ask a remote source for all spans at once, before they are read part by part."""
        if self.is_remote:
            self.announce(spans)

    @property
    def place(self) -> tuple[str, ChunkIndex]:
        """Name and chunk index, from which `array_at` makes an equal array."""
        n_chunks = self.offsets.size
        sizes = np.full(n_chunks, self.chunk * self.dtype.itemsize)
        table = ChunkTable(self.offsets, sizes, np.zeros(n_chunks, np.uint32))
        return self._name, ChunkIndex((n_chunks * self.chunk,), self.dtype, (self.chunk,), table)

    @contextmanager
    def opened(self, spans: Spans) -> Iterator[tuple[int, NDArray[np.int64], int] | None]:
        """Give the descriptor, the first byte of each chunk, and elements in a chunk; None without a descriptor.

        Raises
        ------
        DamagedFileError
            If spans are damaged, where the file has checksums, or cannot be fetched.
        """
        with self.file.ready(*(self.ranges(spans) if self.file.checks else _NO_RANGES)) as descriptor:
            yield None if descriptor is None else (descriptor, self.offsets, self.chunk)

    def note_requests(self, spans: Spans, max_gap: int, room: int, *, split: bool = False) -> None:
        """Count the bytes and calls of a compiled loop over spans, if this thread is observed; see `count_requests`."""
        observer = observer_here()
        if observer is not None:
            where = self.offsets, self.chunk, self.dtype.itemsize, spans.starts, spans.lengths
            requests, n_bytes = count_requests(*where, max_gap, room, split)
            observer.count(requests=requests, bytes=n_bytes)

    def ranges(self, spans: Spans) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the offsets and sizes of the bytes of spans, a range for each part of a span in a chunk of its own."""
        return byte_ranges(self.offsets, self.chunk, self.dtype.itemsize, spans.starts, spans.lengths)

    def _gather(self, spans: Spans, out: Array, columns: Columns) -> tuple[int, int]:
        """Read spans by a compiled loop; see `gather_spans`."""
        item, where = self.dtype.itemsize, (spans.starts, spans.lengths, spans.places)
        max_gap, buffer = GAP_BYTES // item, scratch("buffer", BUFFER_BYTES)
        with self.file.ready(*(self.ranges(spans) if self.file.checks else _NO_RANGES)) as descriptor:
            if descriptor is None or not READS_COMPILED:
                return SHORT_READ, 0
            place, changes = (descriptor, self.offsets, self.chunk), columns.change(item, out)
            if observer_here() is not None:
                self.note_requests(spans, max_gap, BUFFER_BYTES // item, split=changes)
            with observed(READ):
                if not changes:
                    memory = self.file.memory_map(descriptor) if isinstance(self.file, LocalFile) else None
                    if memory is not None:
                        mapped = descriptor, memory.octets, memory.asked, memory.n_asked, self.offsets, self.chunk, item
                        room = BUFFER_BYTES // item
                        return gather_mapped(*mapped, *where, out.view(np.uint8), columns.limit, max_gap, room)
                    return gather_spans(*place, item, *where, out.view(np.uint8), columns.limit, max_gap, buffer)
                target, numbers = out.view(f"u{out.itemsize}"), buffer.view(f"u{item}")
                return gather_numbers(*place, *where, target, columns.limit, columns.table, max_gap, numbers)

    def _gather_by_ranges(self, spans: Spans, out: Array, columns: Columns) -> tuple[int, int]:
        """Do the same with ranges of bytes that the source returns; its reads go on after a signal and name errors."""
        item = self.dtype.itemsize
        target = Target.from_spans(spans, out, columns, item)
        where = target.spans.starts, target.spans.lengths, target.spans.places
        for runs in self._runs(target.spans):
            pieces = self._pieces(runs)
            with observed(SCATTER):
                for (first, last, begin, _), piece in zip(runs, pieces, strict=True):
                    if scatter_piece(piece, item, begin, first, last, *where, target.octets, columns.limit):
                        return OUT_OF_RANGE, first
        with observed(SCATTER):
            target.finish(target.spans.starts.size)
        return 0, 0

    def _runs(self, spans: Spans) -> Iterator[list[tuple[int, int, int, int]]]:
        """Yield runs that are read together, each with its spans [first, last) and elements [begin, end)."""
        item, first, n_bytes = self.dtype.itemsize, 0, 0
        runs: list[tuple[int, int, int, int]] = []
        while first < spans.starts.size:
            begin = int(spans.starts[first])
            last, end = run_of(spans.starts, spans.lengths, first, GAP_BYTES // item, BUFFER_BYTES // item)
            if runs and n_bytes + (end - begin) * item > _TOGETHER_BYTES:
                yield runs
                runs, n_bytes = [], 0
            runs.append((first, last, begin, end))
            first, n_bytes = last, n_bytes + (end - begin) * item
        if runs:
            yield runs

    def _pieces(self, runs: list[tuple[int, int, int, int]]) -> list[NDArray[np.uint8]]:
        """Read the elements of runs, as bytes.

        Raises
        ------
        DamagedFileError
            If they cannot be read, or end too early.
        """
        begins, ends = np.array([run[2:] for run in runs], np.int64).T
        offsets, sizes = self.ranges(Spans(begins, ends - begins, begins))
        with observed(READ, requests=offsets.size, bytes=int(sizes.sum())):
            stored = self.file.read_many(offsets.tolist(), sizes.tolist())
        short = [size - len(part) for part, size in zip(stored, sizes.tolist(), strict=True)]
        if any(short):
            self.check()
            offset = offsets[np.flatnonzero(short)[0]]
            chunk = int(np.flatnonzero(self.offsets <= offset)[-1])
            message = f"{self.file.path}: {self._name} ends within or before chunk {chunk}; the file is truncated."
            raise DamagedFileError(message)
        octets = np.frombuffer(b"".join(stored), np.uint8)
        return np.split(octets, np.cumsum((ends - begins) * self.dtype.itemsize)[:-1])


def refuse_out_of_range(path: str, name: str, chunk: int, limit: int) -> None:
    """Raise for a chunk with column numbers that are not below the limit."""
    message = f"{path}: chunk {chunk} of {name} has column numbers outside [0, {limit}); the file is damaged."
    raise DamagedFileError(message)


def equal_tasks(work: Callable[[int, int], None], sizes: NDArray[np.int64], n_tasks: int) -> list[Task]:
    """Divide work on [0, len(sizes)) into tasks of about the same total size."""
    if sizes.size == 0:
        return []
    if n_tasks == 1:
        return [(work, 0, sizes.size)]
    total = np.cumsum(sizes)
    bounds = np.searchsorted(total, np.arange(1, n_tasks) * (total[-1] / n_tasks), side="left") + 1
    cuts = np.unique(np.concatenate(([0], np.minimum(bounds, sizes.size), [sizes.size])))
    return list(zip(repeat(work), cuts[:-1].tolist(), cuts[1:].tolist(), strict=False))
