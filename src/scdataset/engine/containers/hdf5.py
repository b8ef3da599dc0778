"""HDF5: where the chunks of a dataset lie, asked of the library once."""

import math
import os
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

import h5py
import numpy as np

from scdataset._tables import counted
from scdataset.engine import cache
from scdataset.engine.arrays.chunk_index import NOT_STORED, ChunkIndex, ChunkTable, overlapping
from scdataset.engine.arrays.chunked_arrays import ChunkedArray, Chunks, FileChunks, array_at
from scdataset.engine.arrays.stored_arrays import StoredArray
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.codecs.decoding import FilterOption  # noqa: TC001 as in the other modules
from scdataset.engine.containers.fallback import LibraryChunks, Tiles
from scdataset.engine.containers.handles import note_opened
from scdataset.engine.containers.hdf5_expansion import BoundedDataset, check_expansion
from scdataset.engine.containers.hdf5_filters import filters_of
from scdataset.engine.containers.hdf5_links import child_of
from scdataset.engine.containers.hdf5_sources import OtherFiles
from scdataset.engine.containers.heaps import open_checked, tried
from scdataset.engine.containers.user_block import counts_user_block
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.row_pointers import RowPointers, pieces_of
from scdataset.engine.matrices.transposed import TransposedMatrix
from scdataset.errors import CollectionError, DamagedFileError, ScDatasetError

__all__ = ["H5File", "absent_chunks", "arrays_of", "chunk_index_of", "csr_matrix", "dense_matrix", "transposed_matrix"]

T = TypeVar("T")

_MANY_CHUNKS = 10_000
_MANY_ROWS = 1_000_000
"""Chunks from which on a table is looked for in the cache: to make it anew takes 20 ms or more."""

_TOPS = ("matrix", "mod", "obs", "col_attrs")
"""Members of which a file has one at its top, by its format."""

_MANY_TIMES = 64
"""As many times more chunks than there are stored are still listed."""

_FALLBACK_ELEMENTS = 1 << 16
"""Elements that are read at a time through h5py where the dataset has no chunks of its own."""


_FALLBACK_COLUMNS = 64
"""Columns that are read at a time of a dataset that has no chunks of its own."""


class H5File:
    """An HDF5 file: its bytes, and h5py's view of it for all else; each process opens its own.

    Parameters
    ----------
    source
        A path or URL, or the bytes of a file.

    Attributes
    ----------
    others
        The files that have parts in it.
    """

    def __init__(self, source: str | ByteSource) -> None:
        self.bytes: ByteSource = open_bytes(source) if isinstance(source, str) else source
        self.others = OtherFiles()
        self._h5: h5py.File | None = None
        self._pid = -1

    @property
    def path(self) -> str:
        """The file."""
        return self.bytes.path

    @property
    def h5(self) -> h5py.File:
        """The file as h5py sees it, opened where it is needed."""
        if self._h5 is None or self._pid != os.getpid():
            self.bytes.check()
            try:
                self._h5, self._pid = open_checked(self.bytes, self.others), os.getpid()
                note_opened(self)
            except ScDatasetError:
                raise
            except Exception as error:
                cut = "; it is cut short, so copy or download it again." if "truncated file" in str(error) else ""
                message = f"{self.path} cannot be opened as HDF5: {error}{cut}"
                raise DamagedFileError(message) from error
        return self._h5

    def dataset(self, name: str) -> h5py.Dataset:
        """Return a dataset of this process's own file, with at least one axis.

        Raises
        ------
        DamagedFileError
            If there is none of that name, or the file has changed.
        """
        self.bytes.check()
        try:
            dataset = child_of(self.h5, name)
            if dataset is None:
                message = "there is nothing of this name"
                raise KeyError(message)  # noqa: TRY301 named below, as all are
            usable = isinstance(dataset, h5py.Dataset) and dataset.dtype is not None and bool(dataset.shape)
            found = "" if usable else repr(dataset)
        except ScDatasetError:
            raise
        except Exception as error:  # HDF5 reports faults as anything from KeyError to RuntimeError
            message = f"{self.path}: {name} cannot be read: {error}"
            raise DamagedFileError(message) from error
        if not usable:
            message = f"{self.path}: {name} is {found}; it has to be an array."
            raise DamagedFileError(message)
        return dataset

    def ask(self, question: Callable[[h5py.File], T]) -> T:
        """Return the answer of a function of the file, which may have links to others."""
        found, alone = tried(lambda: question(self.h5))
        if alone:
            return cast("T", found)
        self._refuse_links()
        for name in _TOPS:
            child_of(self.h5, name)  # names a file that is not there
        with h5py.File(self.path, "r") as file:
            return question(file)

    def _refuse_links(self) -> None:
        if self.bytes.is_remote:
            message = f"{self.path} has parts in other files, which are found on disks alone; copy all of them to one."
            raise CollectionError(message)

    def close(self) -> None:
        """Close the file in this process."""
        self.bytes.close()
        self.release()

    def release(self) -> None:
        """Close h5py's view of the file in this process, so that it can be written to; the next use opens it again."""
        if self._h5 is not None and self._pid == os.getpid():
            self._h5.close()
        self._h5 = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_h5": None}


def csr_matrix(file: H5File, group: str, shape: tuple[int, int], *, fallback: bool = False) -> CsrMatrix:
    """Return the row-sparse matrix in ``group``, which holds ``data``, ``indices`` and ``indptr``.

    Raises
    ------
    CollectionError
        If values are not numbers of at most eight bytes.
    DamagedFileError
        If the three arrays contradict each other or ``shape``.
    """
    names = [f"{group}/{name}" for name in ("data", "indices", "indptr")]
    data, indices, indptr = stored = [file.dataset(name) for name in names]
    if data.ndim != 1 or data.shape != indices.shape or indptr.shape != (shape[0] + 1,):
        message = (
            f"{file.path}: {group} has {data.shape} values, {indices.shape} column numbers and {indptr.shape} row "
            f"pointers for {counted(shape[0], 'row')}, which contradict each other."
        )
        raise DamagedFileError(message)
    if indices.dtype.kind not in "iu" or shape[1] < 0:
        message = f"{file.path}: {names[1]} is of type {indices.dtype}, for columns in [0, {shape[1]})."
        raise DamagedFileError(message)
    table = _row_pointers(file, names[2], indptr, data.shape[0], fallback=fallback)
    indexes = [chunk_index_of(file, name, dataset) for name, dataset in zip(names[:2], stored, strict=False)]
    for name, dataset, index in zip(names, stored, indexes, strict=False):
        _check_whole(file, name, dataset, index.table)
    _check_apart(file, group, [index.table for index in indexes if index.table is not None])
    values, columns = (
        _array(file, name, index, fallback=fallback)[0] for name, index in zip(names, indexes, strict=False)
    )
    return CsrMatrix(shape, values, columns, table)


def _check_whole(file: H5File, name: str, dataset: h5py.Dataset, table: ChunkTable | None) -> None:
    """Raise if a part of an array of a sparse matrix was never written: it has no value to stand for it.

    Chunks of zeros alone are written as all others are. ``table`` is that of the chunks, if it is known.
    """
    try:
        lacks = _lacks(dataset) if table is None else bool(np.any(table.offsets == NOT_STORED))
    except (ValueError, OSError, RuntimeError) as error:
        message = f"{file.path}: where {name} is stored cannot be read: {error}"
        raise DamagedFileError(message) from error
    if lacks:
        number = "some" if table is None else int(np.argmax(table.offsets == NOT_STORED))
        message = f"{file.path}: chunk {number} of {name} is not in the file; it is damaged, or was not written whole."
        raise DamagedFileError(message)


def _check_apart(file: H5File, group: str, tables: list[ChunkTable]) -> None:
    """Raise if arrays of a sparse matrix have bytes in common; chunks of each by itself have none."""
    offsets, sizes = [table.offsets for table in tables], [table.sizes for table in tables]
    if tables and overlapping(np.concatenate(offsets), np.concatenate(sizes)) is not None:
        message = f"{file.path}: {group}/data and {group}/indices have chunks in the same bytes; the file is damaged."
        raise DamagedFileError(message)


def _lacks(dataset: h5py.Dataset) -> bool:
    """Return whether parts of a dataset were never written."""
    layout = dataset.id.get_create_plist().get_layout()
    if layout == h5py.h5d.CHUNKED:
        return bool(dataset.id.get_num_chunks() < math.prod(_grid(dataset)))
    whole = layout != h5py.h5d.CONTIGUOUS or dataset.external is not None or dataset.size == 0
    return not whole and dataset.id.get_offset() is None


def _row_pointers(file: H5File, name: str, indptr: h5py.Dataset, n_elements: int, *, fallback: bool) -> RowPointers:
    """Return the table of a row pointer, from the cache if it is a large one."""
    n_rows = int(indptr.shape[0]) - 1
    is_cached = n_rows >= _MANY_ROWS and not fallback and not file.others
    arrays = cache.load(file.bytes, f"rows of {name}") if is_cached else None
    table = None if arrays is None else RowPointers.from_arrays(arrays, n_rows, n_elements)
    if table is not None:
        return table
    _check_whole(file, name, indptr, None)
    check_expansion(indptr)
    pieces = (indptr[place] for place in pieces_of(n_rows + 1, (indptr.chunks or (1,))[0]))
    try:
        table = RowPointers.from_pieces(pieces, n_rows, n_elements)
    except (ValueError, OSError, RuntimeError) as error:
        message = f"{file.path}: {name} {error}."
        raise DamagedFileError(message) from error
    if is_cached:
        cache.store(file.bytes, f"rows of {name}", table.arrays)
    return table


def dense_matrix(file: H5File, name: str, *, fallback: bool = False) -> DenseMatrix:
    """Return the dense matrix in the dataset ``name``."""
    index = chunk_index_of(file, name)
    if len(index.shape) != 2:
        message = f"{file.path}: {name} has shape {index.shape}; a dense matrix has two axes."
        raise CollectionError(message)
    width = index.shape[1] if fallback or index.table is None else index.chunk[1]
    return DenseMatrix(index.shape, tuple(arrays_of(file, name, fallback=fallback)), max(width, 1))


def transposed_matrix(file: H5File, name: str, *, fallback: bool = False) -> TransposedMatrix:
    """Return the transpose of the dense matrix in the dataset ``name``, of two axes.

    Raises
    ------
    CollectionError
        If the elements are not numbers of at most eight bytes.
    """
    index = chunk_index_of(file, name)
    if index.dtype.kind not in "iufb" or index.dtype.itemsize > 8 or len(index.shape) != 2:
        message = f"{file.path}: {name} is {index.dtype} of shape {index.shape}; it has to be a matrix of numbers."
        raise CollectionError(message)
    tile = index.chunk if index.chunk != index.shape else (index.shape[0], _FALLBACK_COLUMNS)
    if fallback or index.table is None or tile != index.chunk:
        open_tiles = partial(Tiles, _bounded(file, name), tile)
        chunks: Chunks = LibraryChunks(open_tiles, file.path, name, 1, math.prod(tile), index.dtype)
    else:
        length = math.prod(tile)
        chunks = FileChunks(file.bytes, name, index.dtype, length, index.table, index.filters, index.fill)
    return TransposedMatrix((index.shape[1], index.shape[0]), chunks, (max(tile[0], 1), max(tile[1], 1)))


def arrays_of(file: H5File, name: str, *, fallback: bool = False) -> list[StoredArray]:
    """Return the strips of a dataset of one or two axes as 1-D arrays, by the fastest path that serves.

    ``fallback=True`` takes the fallback path, which serves every layout.

    Raises
    ------
    CollectionError
        If the elements are not numbers of at most eight bytes.
    """
    return _array(file, name, chunk_index_of(file, name), fallback=fallback)


def _array(file: H5File, name: str, index: ChunkIndex, *, fallback: bool) -> list[StoredArray]:
    if index.dtype.kind not in "iufb" or index.dtype.itemsize > 8:
        message = f"{file.path}: {name} is of type {index.dtype}; it has to be numbers of at most eight bytes."
        raise CollectionError(message)
    if fallback or index.table is None:
        width = math.prod(index.shape[1:])
        rows = index.chunk[0] if index.chunk[1:] == index.shape[1:] else max(_FALLBACK_ELEMENTS // max(width, 1), 1)
        return [ChunkedArray(LibraryChunks(_bounded(file, name), file.path, name, rows, width, index.dtype))]
    n_strips = 1 if len(index.shape) == 1 else max(-(-index.shape[1] // index.chunk[1]), 1)
    if n_strips == 1:
        return [array_at(file.bytes, name, index)]
    # Chunks are counted within a strip.
    parts = [f"{name}[:, {n * index.chunk[1]}:{(n + 1) * index.chunk[1]}]" for n in range(n_strips)]
    strips = [replace(index, table=index.table.strip(number, n_strips)) for number in range(n_strips)]
    return [array_at(file.bytes, part, strip) for part, strip in zip(parts, strips, strict=True)]


def _bounded(file: H5File, name: str) -> Callable[[], BoundedDataset]:
    """Return the function that opens a dataset for h5py to decode."""
    return partial(BoundedDataset, partial(file.dataset, name), set())


def absent_chunks(file: H5File, name: str) -> list[int]:
    """Return the numbers of the chunks of a dataset that were never written, as far as its index tells."""
    table = chunk_index_of(file, name).table
    return [] if table is None else np.flatnonzero(table.offsets == NOT_STORED).tolist()


def chunk_index_of(file: H5File, name: str, opened: h5py.Dataset | None = None) -> ChunkIndex:
    """Return where a dataset lies, which may be open already; without a table where it takes h5py to read it.

    Raises
    ------
    DamagedFileError
        If it lies outside the file.
    """
    dataset = file.dataset(name) if opened is None else opened
    try:
        index, chunked = _index_of(dataset, in_file=dataset.file.filename == file.h5.filename)
        if chunked:
            return replace(index, table=_table(file, index, name, dataset))
    except DamagedFileError:
        raise
    except (ValueError, OSError, RuntimeError, OverflowError, MemoryError) as error:
        message = f"{file.path}: where {name} is stored cannot be read: {error}"
        raise DamagedFileError(message) from error
    if index.table is not None:
        _check_table(index, index.table, file, name)
    return index


def _table(file: H5File, index: ChunkIndex, name: str, dataset: h5py.Dataset) -> ChunkTable | None:
    """Return the table of the chunks of a dataset, from the cache if it is a large one.

    None where nearly all are missing: the file may claim to have any number of them.
    """
    n_chunks = math.prod(_grid(dataset))
    is_cached = n_chunks >= _MANY_CHUNKS
    table = _cached_table(file, index, name, n_chunks) if is_cached else None
    if table is None:
        table = _chunk_table(dataset)
        if table is None:
            return None
        _check_table(index, table, file, name)
        if is_cached:
            cache.store(file.bytes, f"chunks of {name}", table.arrays)
    return table


def _index_of(dataset: h5py.Dataset, *, in_file: bool) -> tuple[ChunkIndex, bool]:
    """Return the index, and whether a table of its chunks is still to come."""
    table: ChunkTable | None = None
    filters: tuple[tuple[str, FilterOption], ...] | None = ()
    chunked = False
    properties = dataset.id.get_create_plist()
    known = dataset.file.userblock_size == 0 or counts_user_block()
    bytes_here = in_file and dataset.external is None and known
    if bytes_here and _is_plain_type(dataset) and dataset.size > 0:
        if properties.get_layout() == h5py.h5d.CONTIGUOUS:
            offset = dataset.id.get_offset()
            if offset is not None:
                table = ChunkTable(np.array([offset], np.int64), np.array([dataset.nbytes]), np.zeros(1, np.uint32))
        elif properties.get_layout() == h5py.h5d.CHUNKED:
            filters = filters_of(properties)
            chunked = filters is not None
    index = ChunkIndex(
        dataset.shape, dataset.dtype, dataset.chunks or dataset.shape, table, filters or (), dataset.fillvalue
    )
    return index, chunked


def _is_plain_type(dataset: h5py.Dataset) -> bool:
    """Tell whether elements are stored as numpy has them in memory, without a conversion by HDF5."""
    stored = dataset.id.get_type()
    return dataset.dtype.kind in "iufb" and stored.equal(h5py.h5t.py_create(dataset.dtype, logical=True))


def _grid(dataset: h5py.Dataset) -> list[int]:
    """Return the number of chunks along each axis."""
    return [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]


def _chunk_table(dataset: h5py.Dataset) -> ChunkTable | None:
    """Ask for all chunks in one walk: asking for one walks the index from its start."""
    noted = array("Q")  # of each chunk: its first element along each axis, and where it is stored

    def note(stored: h5py.h5d.StoreInfo) -> None:
        noted.extend((*stored.chunk_offset, stored.byte_offset, stored.size, stored.filter_mask))

    dataset.id.chunk_iter(note)
    *starts, offsets, sizes, skipped = np.frombuffer(noted, np.uint64).reshape(-1, len(dataset.shape) + 3).T
    grid, places = _grid(dataset), np.zeros(offsets.size, np.int64)
    for start, chunk, length in zip(starts, dataset.chunks, grid, strict=True):
        wrong = (start % chunk != 0) | (start // chunk >= length)
        if wrong.any():
            place = [int(axis[np.argmax(wrong)]) for axis in starts]
            message = f"there is a chunk at {place}, in chunks of {dataset.chunks} of {dataset.shape}"
            raise ValueError(message)
        places = places * length + (start // chunk).astype(np.int64)
    n_chunks = math.prod(grid)
    if n_chunks > max(_MANY_TIMES * offsets.size, _MANY_CHUNKS):
        return None
    table = ChunkTable(
        np.full(n_chunks, NOT_STORED, np.int64), np.zeros(n_chunks, np.int64), np.zeros(n_chunks, np.uint32)
    )
    # An offset beyond 2**63 becomes negative, and is refused as one outside the file.
    table.offsets[places] = offsets.astype(np.int64)
    table.sizes[places] = sizes.astype(np.int64)
    table.skipped[places] = skipped
    if np.count_nonzero(table.offsets != NOT_STORED) < places.size:
        message = "there are two chunks at one place"
        raise ValueError(message)
    return table


def _cached_table(file: H5File, index: ChunkIndex, name: str, n_chunks: int) -> ChunkTable | None:
    """Return the table that was cached, if it could be that of the dataset."""
    arrays = cache.load(file.bytes, f"chunks of {name}")
    table = None if arrays is None else ChunkTable.from_arrays(arrays, n_chunks)
    return None if table is None or _fault(index, table, file) is not None else table


def _fault(index: ChunkIndex, table: ChunkTable, file: H5File) -> str | None:
    """Return why chunks cannot be where a table has them, or None."""
    n_bytes = math.prod(index.chunk) * index.dtype.itemsize
    number = table.misplaced(file.bytes.size, None if index.filters else n_bytes)
    if number is not None:
        return (
            f"chunk {number} has {counted(table.sizes[number], 'byte')} from {table.offsets[number]} on, in a file of "
            f"{counted(file.bytes.size, 'byte')}, and {n_bytes:,} when decoded"
        )
    pair = overlapping(table.offsets, table.sizes)
    return None if pair is None else f"chunks {pair[0]} and {pair[1]} have bytes in common"


def _check_table(index: ChunkIndex, table: ChunkTable, file: H5File, name: str) -> None:
    """Raise if chunks do not lie within the file, each for itself, or are plain and not of the right size."""
    fault = _fault(index, table, file)
    if fault is not None:
        message = f"{file.path}: {name} cannot be where the file says: {fault}; the file is damaged."
        raise DamagedFileError(message)
