"""Arrow IPC: lists of numbers in uncompressed record batches, read as plain bytes of the file.

    file    ─┬─ batch 0: offsets, values     elements 0, 1, 2, ... of the stored array, and where each
             ├─ batch 1: offsets, values     batch's values begin in the file: rows are never cut
             └─ ...

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from scdataset._progress import log_or_bar
from scdataset._tables import counted
from scdataset._types import Array, DType
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.arrays.spans import Columns, Spans
from scdataset.engine.arrays.stored_arrays import PlainArray, StoredArray, Task
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.bytes.opening import buffered, open_bytes
from scdataset.engine.cache_folder import cached_copy
from scdataset.engine.containers.arrow_claims import claimed_size
from scdataset.engine.containers.expansion import Expansion, check_unpacked, least_size
from scdataset.engine.containers.parquet import parquet_batches, parquet_schema
from scdataset.engine.containers.parquet_pages import check_pages
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.row_pointers import RowPointers
from scdataset.errors import CollectionError, DamagedFileError, ScDatasetError

__all__ = ["arrow_batches", "checked_column", "csr_matrix", "plain_arrow"]

_WIDEST = 2**63 - 1
"""Columns of a matrix whose column numbers may be any that are not negative."""

_MAGIC, _FIRST_MESSAGE = b"ARROW1", 8
"""How a file that is no stream begins, and where its stream does."""

_COPY = "rows.arrow"
"""Name of a copy."""

_FETCHED = 1 << 25
"""Bytes of an object that are fetched while as many before them are written."""


class PiecedElements:
    """A stored array in pieces that lie apart in one file, none of which a span crosses.

    Parameters
    ----------
    file, name, dtype
        The file, and the array's name for messages and type.
    firsts
        First element of each piece, ascending, shape ``(n_pieces,)``.
    offsets
        Where each piece begins in the file, in bytes, multiples of the size of an element.
    """

    def __init__(
        self, file: LocalFile, name: str, dtype: DType, firsts: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> None:
        self.dtype = dtype
        self._firsts = firsts
        self._moves = offsets // dtype.itemsize - firsts
        # The file as one chunk: an element's number is its place in it.
        self._whole = PlainArray(file, name, dtype, 1 << 62, np.zeros(1, np.int64))

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        return self._whole.is_remote

    def tasks(self, spans: Spans, out: Array, columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that read spans to ``out``."""
        return self._whole.tasks(self._moved(spans), out, columns, n_parts)

    def announce(self, spans: Spans) -> int:
        """Tell the kernel which bytes will be read soon."""
        return self._whole.announce(self._moved(spans))

    def read_cost(self, spans: Spans) -> ReadCost:
        """Return the cost of reading these spans."""
        return self._whole.read_cost(self._moved(spans))

    def close(self) -> None:
        """Close the file."""
        self._whole.close()

    def _moved(self, spans: Spans) -> Spans:
        piece = np.searchsorted(self._firsts, spans.starts, side="right") - 1
        return Spans(spans.starts + self._moves[np.maximum(piece, 0)], spans.lengths, spans.places)


class _Lists(NamedTuple):
    """A column of lists: how long they are, and the values of each batch, as bytes of the file."""

    lengths: NDArray[np.int64]
    sizes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    dtype: DType


def csr_matrix(file: LocalFile, columns: str, values: str) -> CsrMatrix:
    """Return rows of an uncompressed file as a matrix, of a column of lists of column numbers and one of values.

    Parameters
    ----------
    file
        The file.
    columns, values
        Names of the two columns.

    Raises
    ------
    CollectionError
        If these are not lists of numbers, or some are missing.
    DamagedFileError
        If a row has more or fewer numbers than values.
    """
    path = file.path
    with arrow_batches(file) as (batches, mapped):
        parts = {name: _lists(path, name, batches, mapped) for name in (columns, values)}
    numbers, data = parts[columns], parts[values]
    if numbers.dtype.kind not in "iu":
        message = f"{path}: {columns} are {numbers.dtype}; they have to be integers."
        raise CollectionError(message)
    if not np.array_equal(numbers.lengths, data.lengths):
        row = int(np.argmax(numbers.lengths != data.lengths))
        message = f"{path}: row {row} has {numbers.lengths[row]} {columns} and {data.lengths[row]} {values}."
        raise DamagedFileError(message)
    pointers = np.concatenate([[0], np.cumsum(numbers.lengths)])
    table = RowPointers.from_pointers(pointers, int(pointers[-1]))
    arrays = {name: _array(file, name, part) for name, part in parts.items()}
    return CsrMatrix((numbers.lengths.size, _WIDEST), arrays[values], arrays[columns], table)


@contextmanager
def arrow_batches(file: LocalFile) -> Iterator[tuple[list[pa.RecordBatch], pa.Buffer]]:
    """Open a file, stream or not, as record batches over the mapped bytes, which are there until the end.

    Raises
    ------
    DamagedFileError
        If it cannot be read.
    """
    try:
        whole = pa.py_buffer(file.mapped())
        is_file = whole.slice(0, min(len(_MAGIC), whole.size)).to_pybytes() == _MAGIC
        stream = whole.slice(min(_FIRST_MESSAGE, whole.size)) if is_file else whole
        n_batches, claimed = claimed_size(stream)
        check_unpacked(file, claimed)
        reader = pa.ipc.open_file(pa.BufferReader(whole)) if is_file else None
        if reader is not None:
            _check_footer(reader, n_batches)
        if reader is not None and not claimed:
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        else:
            read = pa.BufferReader(stream)
            batches = list(pa.ipc.open_stream(read))  # the batches whose sizes were checked
            if reader is None:
                _check_end(stream.slice(read.tell()))
        yield batches, whole
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, ScDatasetError):
            raise
        message = f"{file.path} cannot be read as Arrow: {error}"
        raise DamagedFileError(message) from error


def _check_footer(reader: pa.RecordBatchFileReader, n_batches: int) -> None:
    """Raise if a footer has more or fewer batches than its stream, whose sizes were checked."""
    if reader.num_record_batches != n_batches:
        message = f"its footer has {counted(reader.num_record_batches, 'record batch')}, and its stream {n_batches:,}"
        raise pa.ArrowInvalid(message)


def _check_end(rest: pa.Buffer) -> None:
    """Raise if something follows the end of a stream, which a damaged message may look like: rows would be lost."""
    if np.frombuffer(rest, np.uint8).any():
        message = f"{counted(rest.size, 'byte')} follow the end of its stream"
        raise pa.ArrowInvalid(message)


def checked_column(path: str, name: str, batch: pa.RecordBatch) -> pa.Array:
    """Return a column of a record batch, once its buffers were found to lie within each other.

    pyarrow follows the offsets of lists, strings and dictionaries in mapped bytes wherever they lead: a damaged one
    ends the process.

    Raises
    ------
    DamagedFileError
        If offsets do not ascend or lie outside of the values, or a buffer is too small for its rows.
    """
    column = batch.column(name)
    try:
        column.validate(full=True)
    except pa.ArrowException as error:
        message = f"{path}: the column {name} is damaged: {error}"
        raise DamagedFileError(message) from error
    return column


def plain_arrow(path: str) -> LocalFile:
    """Return a file of uncompressed Arrow with the rows of ``path``: itself, or one that is made once in the cache.

    Rows of Parquet, and of compressed Arrow, can be read only with all of their row group or batch: decoding it for
    every few of its rows would be slower than a copy, which takes about the memory of one batch to make. So is an
    object of a store, all of which is fetched once.
    """
    if is_url(path):
        return cached_copy(path, "plain-arrow-2", lambda folder: _write_fetched(path, folder / _COPY))[_COPY]
    file = LocalFile(path)
    if _is_plain(file):
        return file
    return cached_copy(path, "plain-arrow-2", lambda folder: _write_plain(file, folder / _COPY))[_COPY]


def _is_plain(file: LocalFile) -> bool:
    if _is_parquet(file):
        return False
    with arrow_batches(file) as (batches, mapped):
        first = (buffer for batch in batches[:1] for column in batch for buffer in column.buffers())
        return all(buffer is None or buffer.size == 0 or _within(buffer, mapped) for buffer in first)


def _is_parquet(file: LocalFile) -> bool:
    return file.read(0, 4) == b"PAR1"


def _within(buffer: pa.Buffer, mapped: pa.Buffer) -> bool:
    return bool(mapped.address <= buffer.address and buffer.address + buffer.size <= mapped.address + mapped.size)


def _write_plain(file: LocalFile, target: Path) -> dict[str, NDArray[np.int64]]:
    """Write rows as uncompressed Arrow, and return where its lists have their values; see `Make`."""
    _write_batches(file, target)
    with arrow_batches(LocalFile(str(target))) as (batches, mapped):
        stretches = [stretch for batch in batches for stretch in _stretches_of_values(batch, mapped)]
    return {target.name: np.array(stretches, np.int64).reshape(-1, 2)}


def _write_fetched(url: str, target: Path) -> dict[str, NDArray[np.int64]]:
    """Fetch an object beside ``target``, and do as `_write_plain`."""
    fetched = target.with_suffix(".fetched")
    with closing(open_bytes(url)) as source, fetched.open("wb") as file:
        for start in range(0, source.size, _FETCHED):
            source.announce(np.array([start + _FETCHED]), np.array([_FETCHED]))
            file.write(source.read_unchecked(start, _FETCHED))
    try:
        return _write_plain(LocalFile(str(fetched), url), target)
    finally:
        fetched.unlink()


def _stretches_of_values(batch: pa.RecordBatch, mapped: pa.Buffer) -> Iterator[tuple[int, int]]:
    """Yield first byte and end of the values of each column of lists of numbers."""
    for column in batch:
        if (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)) and _is_number(
            column.type.value_type
        ):
            stored = column.values.buffers()[-1]
            if stored is not None and stored.size:
                start = stored.address - mapped.address
                yield start, start + stored.size


def _write_batches(file: LocalFile, target: Path) -> None:
    try:
        (_write_parquet if _is_parquet(file) else _write_arrow)(file, target)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, ScDatasetError) or _of_the_target(error, target):
            raise
        message = f"{file.path} cannot be read: {error}"
        raise DamagedFileError(message) from error


def _write_arrow(file: LocalFile, target: Path) -> None:
    written = Expansion(file, target)
    with arrow_batches(file) as (batches, _), pa.ipc.new_stream(str(target), batches[0].schema) as writer:
        for batch in batches:
            written.add(batch.nbytes)
            for name in batch.schema.names:
                checked_column(file.path, name, batch)
            writer.write_batch(batch)


def _write_parquet(file: LocalFile, target: Path) -> None:
    with buffered(file) as stream:
        metadata = pyarrow.parquet.read_metadata(stream)
        written = Expansion(file, target, least_size(metadata))
        check_pages(file, metadata)
        with (
            log_or_bar(f"Reading {file.path} once, to the cache", metadata.num_rows) as advance,
            pa.ipc.new_stream(str(target), parquet_schema(stream)) as writer,
        ):
            for batch in parquet_batches(stream, written.add):
                writer.write_batch(batch)
                advance(batch.num_rows)


def _of_the_target(error: Exception, target: Path) -> bool:
    """Tell whether an error is about the copy that is written: no space, or no permission."""
    return getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or str(target) in str(error)


def _lists(path: str, name: str, batches: list[pa.RecordBatch], mapped: pa.Buffer) -> _Lists:
    """Return where the lists of a column are."""
    lengths, sizes, offsets, kinds = [np.empty(0, np.int64)], [], [], set()
    for batch in batches:
        column = checked_column(path, name, batch)
        if not _is_list(column.type) or not _is_number(column.type.value_type):
            message = f"{path}: {name} is a column of {column.type}; it has to be one of lists of numbers."
            raise CollectionError(message)
        bounds = column.offsets.to_numpy().astype(np.int64)
        inner = column.values.slice(bounds[0], bounds[-1] - bounds[0])
        if column.null_count or inner.null_count:
            message = (
                f"{path}: {name} lacks {counted(column.null_count, 'list')} and {counted(inner.null_count, 'value')}; "
                "leave none out."
            )
            raise CollectionError(message)
        dtype = np.dtype(inner.type.to_pandas_dtype())
        stored = inner.buffers()[-1]
        start = 0 if stored is None or inner.nbytes == 0 else stored.address - mapped.address
        lengths.append(np.diff(bounds))
        sizes.append(bounds[-1] - bounds[0])
        offsets.append(start + (inner.offset if inner.nbytes else 0) * dtype.itemsize)
        kinds.add(dtype)
        if (np.diff(bounds) < 0).any() or start < 0 or offsets[-1] + sizes[-1] * dtype.itemsize > mapped.size:
            message = f"{path}: the lists of {name} do not lie within the file; it is damaged."
            raise DamagedFileError(message)
    dtype = kinds.pop() if kinds else np.dtype(np.int64)
    return _Lists(np.concatenate(lengths), np.array(sizes, np.int64), np.array(offsets, np.int64), dtype)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _array(file: LocalFile, name: str, lists: _Lists) -> StoredArray:
    some = lists.sizes > 0
    firsts = (np.cumsum(lists.sizes) - lists.sizes)[some]
    offsets = lists.offsets[some]
    if not some.any():
        firsts = offsets = np.zeros(1, np.int64)
    return PiecedElements(file, name, lists.dtype, firsts, offsets)
