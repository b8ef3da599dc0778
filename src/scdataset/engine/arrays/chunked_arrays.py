"""Stored 1-D arrays in chunks that are decoded whole, each at most once a read.

chunks of a file    ──► threads: read a chunk, decode it, scatter its selected elements
chunks of a library ──► the same, with elements as the library gives them
"""

import math
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array, DType
from scdataset.engine.arrays.chunk_index import NOT_STORED, ChunkIndex, ChunkTable
from scdataset.engine.arrays.encoded_chunks import EncodedChunks, decoder_of
from scdataset.engine.arrays.in_file import InFile
from scdataset.engine.arrays.read_cost import Asked, ReadCost
from scdataset.engine.arrays.spans import Columns, Spans, Target
from scdataset.engine.arrays.stored_arrays import PlainArray, StoredArray, Task, equal_tasks, refuse_out_of_range
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.codecs.decoding import FilterOption, decode
from scdataset.engine.kernels.chunks import chunks_of_spans
from scdataset.engine.kernels.gather import OUT_OF_RANGE, scatter_piece
from scdataset.engine.observer import DECODE, READ, SCATTER, observed
from scdataset.errors import DamagedFileError

__all__ = ["ChunkedArray", "Chunks", "FileChunks", "array_at", "cost_of_chunks", "piece_of"]


class Chunks(Protocol):
    """The chunks of a stored 1-D array, decoded one at a time, from any thread."""

    path: str
    name: str
    dtype: DType
    length: int
    """Elements in a chunk."""

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        ...

    def piece(self, number: int) -> Array:
        """Return the elements of a chunk, shape ``(length,)`` or less for the last, in native byte order."""
        ...

    def check(self) -> None:
        """Raise if bytes that this thread read since its last check may be of another file than was opened."""
        ...

    def announce(self, numbers: NDArray[np.int64]) -> int:
        """Tell the system that these chunks will be read soon."""
        ...

    def ranges(self, numbers: NDArray[np.int64]) -> list[Asked]:
        """Return where these chunks are stored, those of each file together; none where only a library can tell."""
        ...

    def stored_sizes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the bytes in files of those of these chunks that were written; None where only a library can tell."""
        ...

    def encoded_chunks(self, numbers: NDArray[np.int64]) -> EncodedChunks | None:
        """Return where these chunks lie, if a compiled loop can decode them and all were written; None otherwise."""
        ...

    def close(self) -> None:
        """Close all files."""
        ...


def piece_of(chunks: Chunks, number: int) -> Array:
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


def cost_of_chunks(chunks: Chunks, numbers: NDArray[np.int64], used_bytes: int) -> ReadCost:
    """Return the cost of reading and decoding chunks, of which ``used_bytes`` decoded bytes are asked for."""
    asked = tuple(chunks.ranges(numbers)) if chunks.is_remote else ()
    chunk_bytes, sizes = chunks.length * chunks.dtype.itemsize, chunks.stored_sizes(numbers)
    n_chunks = numbers.size if sizes is None else sizes.size
    n_bytes = None if sizes is None else int(sizes.sum())
    return ReadCost(n_chunks, n_chunks, n_bytes, n_chunks * chunk_bytes, used_bytes, 0, chunk_bytes, asked)


class ChunkedArray:
    """An array whose chunks are decoded whole, each at most once a read."""

    def __init__(self, chunks: Chunks) -> None:
        self.dtype = chunks.dtype
        self._chunks = chunks

    @property
    def chunks(self) -> Chunks:
        """The chunks."""
        return self._chunks

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        return self._chunks.is_remote

    @property
    def place(self) -> tuple[str, ChunkIndex] | None:
        """Name and chunk index, from which `array_at` makes an equal array; None where only a library can read it."""
        return self._chunks.place if isinstance(self._chunks, FileChunks) else None

    def tasks(self, spans: Spans, out: Array, columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that decode the chunks of spans, and copy the spans to ``out``."""
        item, length = self.dtype.itemsize, self._chunks.length
        numbers, firsts, lasts = chunks_of_spans(spans.starts, spans.lengths, length)
        if self.is_remote:
            self._chunks.announce(numbers)
        encoded = None if columns.change(item, out) else self._chunks.encoded_chunks(numbers)

        def refuse(chunk: int) -> None:
            self._chunks.check()
            refuse_out_of_range(self._chunks.path, self._chunks.name, int(numbers[chunk]), columns.limit)

        def compiled(start: int, stop: int) -> int:
            """Decode chunks as far as the compiled loop does, and return the first that is left."""
            if encoded is None:
                return start
            own, held = encoded.part(start, stop), (numbers[start:stop], firsts[start:stop], lasts[start:stop])
            status, done = own.scatter(held, length * item, spans, item, out.view(np.uint8), columns.limit)
            own.check(done)
            if status == OUT_OF_RANGE:
                refuse(start + done)
            return start + done

        def work(start: int, stop: int) -> None:
            for i in range(compiled(start, stop), stop):
                begin = int(numbers[i]) * length
                own = spans.part(firsts[i], lasts[i])
                if columns.change(item, out):
                    own = own.within(begin, begin + length)
                piece = piece_of(self._chunks, int(numbers[i])).view(np.uint8)
                with observed(SCATTER):
                    target = Target.from_spans(own, out, columns, item)
                    status = scatter_piece(
                        piece, item, begin, 0, own.starts.size, own.starts, own.lengths, target.spans.places,
                        target.octets, columns.limit,
                    )  # fmt: skip
                    if status == OUT_OF_RANGE:
                        refuse(i)
                    target.finish(own.starts.size)
            self._chunks.check()

        return equal_tasks(work, np.ones(numbers.size, np.int64), n_parts)

    def announce(self, spans: Spans) -> int:
        """Tell the system which chunks will be read soon."""
        return self._chunks.announce(chunks_of_spans(spans.starts, spans.lengths, self._chunks.length)[0])

    def read_cost(self, spans: Spans) -> ReadCost:
        """Return the chunks that hold spans, and their bytes."""
        numbers = chunks_of_spans(spans.starts, spans.lengths, self._chunks.length)[0]
        return cost_of_chunks(self._chunks, numbers, self.dtype.itemsize * int(spans.lengths.sum()))

    def close(self) -> None:
        """Close all files."""
        self._chunks.close()


class FileChunks(InFile):
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
        As in `ChunkIndex`, for the chunks of this array.
    """

    def __init__(
        self,
        file: ByteSource,
        name: str,
        dtype: DType,
        length: int,
        table: ChunkTable,
        filters: tuple[tuple[str, FilterOption], ...],
        fill: object,
    ) -> None:
        super().__init__(file)
        self.path = file.path
        self.name = name
        self.dtype = dtype.newbyteorder("=")
        self.length = length
        self._stored = dtype
        self._table = table
        self._filters = filters
        self._fill = fill

    @property
    def place(self) -> tuple[str, ChunkIndex]:
        """Name and index."""
        shape = (self._table.offsets.size * self.length,)
        return self.name, ChunkIndex(shape, self._stored, (self.length,), self._table, self._filters, self._fill)

    def piece(self, number: int) -> Array:
        """Read and decode a chunk."""
        offset, size = int(self._table.offsets[number]), int(self._table.sizes[number])
        if offset == NOT_STORED:
            return np.full(self.length, self._fill, self.dtype)
        with observed(READ, requests=1, bytes=size):
            stored = self.file.read_unchecked(offset, size)
        if len(stored) != size:
            self.file.check()
            message = f"{self.path}: {self.name} ends within or before chunk {number}; the file is truncated."
            raise DamagedFileError(message)
        try:
            skipped, n_bytes = int(self._table.skipped[number]), self.length * self._stored.itemsize
            with observed(DECODE, chunks=1):
                return decode(stored, self._filters, skipped, self._stored, n_bytes).astype(self.dtype, copy=False)
        except DamagedFileError as error:
            self.file.check()
            message = f"{self.path}: chunk {number} of {self.name} {error}."
            raise DamagedFileError(message) from error

    def announce(self, numbers: NDArray[np.int64]) -> int:
        """Tell the kernel which bytes will be read soon."""
        [(file, offsets, sizes)] = self.ranges(numbers)
        return file.announce(offsets, sizes)

    def ranges(self, numbers: NDArray[np.int64]) -> list[Asked]:
        """Return where those of these chunks are that were written."""
        stored = numbers[self._table.offsets[numbers] != NOT_STORED]
        return [Asked(self.file, self._table.offsets[stored], self._table.sizes[stored])]

    def stored_sizes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bytes in the file of those of these chunks that were written."""
        sizes: NDArray[np.int64] = self._table.sizes[numbers][self._table.offsets[numbers] != NOT_STORED]
        return sizes

    def encoded_chunks(self, numbers: NDArray[np.int64]) -> EncodedChunks | None:
        """Return where these chunks lie, if a compiled loop can decode them."""
        table, decoder = self._table, decoder_of(self._filters)
        offsets = table.offsets[numbers]
        if decoder is None or not self._stored.isnative:
            return None
        if np.any(offsets == NOT_STORED) or np.any(table.skipped[numbers]):
            return None
        return EncodedChunks(decoder, (self.file,), np.zeros(numbers.size, np.int64), offsets, table.sizes[numbers])


def array_at(file: ByteSource, name: str, index: ChunkIndex) -> StoredArray:
    """Return the elements of an array, or of a strip of one, whose chunk index has a table of chunks."""
    length = math.prod(index.chunk)
    table = cast("ChunkTable", index.table)
    if index.plain:
        return PlainArray(file, name, index.dtype, length, table.offsets)
    return ChunkedArray(FileChunks(file, name, index.dtype, length, table, index.filters, index.fill))
