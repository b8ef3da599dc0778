"""zarr: where the chunks of an array lie, read from the metadata that the format specifies.

    array ──► keys, a chunk or a shard each ──► files of a folder, or stretches of a zip file
    shard ──► chunks, found by the index that the shard holds

Versions 2 and 3 of the format: https://zarr-specs.readthedocs.io. Other arrays are left to zarr itself.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import pairwise

import numpy as np
import zarr
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.engine.arrays.chunk_index import NOT_STORED
from scdataset.engine.arrays.chunked_arrays import ChunkedArray
from scdataset.engine.arrays.encoded_chunks import Decoder, EncodedChunks, decoder_of
from scdataset.engine.arrays.read_cost import Asked, joined
from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.arrays.stored_arrays import PlainArray, StoredArray
from scdataset.engine.bytes.connections import Request, after, result_of
from scdataset.engine.bytes.object_store import Bucket, Location, is_url
from scdataset.engine.bytes.remote import requested
from scdataset.engine.bytes.source import ByteSource  # noqa: TC001 as in the other modules
from scdataset.engine.codecs.decoding import decode
from scdataset.engine.containers.fallback import LibraryChunks
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_library import checked_store
from scdataset.engine.containers.zarr_metadata import ZarrArray, array_of
from scdataset.engine.containers.zarr_objects import HostKeys, ObjectKeys
from scdataset.engine.containers.zarr_shards import Shard, Stored, index_range
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.row_pointers import RowPointers, pieces_of
from scdataset.engine.observer import DECODE, observed
from scdataset.errors import CollectionError, DamagedFileError, ScDatasetError

__all__ = ["ZarrStore", "absent_chunks", "arrays_of", "csr_matrix", "dense_matrix"]

_FALLBACK_ELEMENTS = 1 << 16
"""Elements that are read at a time through zarr where a chunk does not hold whole rows."""


_ROUNDS = 2
"""Requests that follow each other before a chunk is found: its key, and the index of its shard."""


class ZarrStore:
    """A zarr store, a folder or a zip file: where its keys are, and zarr's view of it for all else.

    Parameters
    ----------
    path
        The folder or zip file.

    Attributes
    ----------
    keys
        Where the bytes of its keys are.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.keys: Keys = _keys_of(path)
        self._root: zarr.Group | None = None
        self._nodes: dict[str, zarr.Array | zarr.Group] = {}
        self._pid = -1

    def node(self, name: str) -> zarr.Array | zarr.Group | None:
        """Return an array or group as zarr sees it, opened by this process, or None if there is none."""
        if self._root is None or self._pid != os.getpid():
            store = checked_store(self.keys)
            # A consolidated copy of the metadata may be older than the metadata itself, which is read here.
            root = zarr.open_group(store, mode="r", use_consolidated=False)
            self._root, self._nodes, self._pid = root, {"": root}, os.getpid()
        if name not in self._nodes:
            with suppress(KeyError):  # zarr reads the metadata to tell whether there is any
                self._nodes[name] = self._root[name]
        return self._nodes.get(name)

    def array(self, name: str) -> zarr.Array:
        """Return an array as `node` does."""
        return self.node(name)

    def close(self) -> None:
        """Close the handles of this process."""
        self.keys.close()
        if self._root is not None and self._pid == os.getpid():
            self._root.store.close()
        self._root = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_root": None, "_nodes": {}}


def _keys_of(path: str) -> Keys:
    if not is_url(path) or path.endswith(".zip"):
        return Keys(path)
    can_list = Bucket.from_location(Location.from_url(path)).can_list
    return ObjectKeys(path) if can_list else HostKeys(path)


class ChunkFinder:
    """Finds the chunks of an array; the index of a shard is read when it is first needed, and kept."""

    def __init__(self, store: ZarrStore, name: str, key: str, array: ZarrArray) -> None:
        self.name = name
        self.store = store
        self.array = array
        self._per_shard = array.per_shard
        self._metadata = store.keys.watch(key)
        self._shards: dict[tuple[int, int], Shard] = {}

    def find(self, row: int, column: int) -> Stored | None:
        """Return where the chunk at a place of the grid is, or None if it was never written."""
        if self.array.index is None:
            return self._find_key(row, column)
        rows, columns = self._per_shard
        shard = self._shard(row // rows, column // columns)
        return None if shard is None else shard.chunk(row % rows * columns + column % columns)

    def encoded_chunks(self, decoder: Decoder, rows: NDArray[np.int64], column: int) -> EncodedChunks | None:
        """Return where chunks lie in shards; None if some were never written."""
        found = list(self.in_shards(rows, column))
        if sum(one.offsets.size for one in found) < rows.size:
            return None
        owners = np.repeat(np.arange(len(found)), [one.offsets.size for one in found])
        return EncodedChunks(decoder, tuple(one.source for one in found), owners, *joined(found))

    def in_shards(self, rows: NDArray[np.int64], column: int) -> Iterator[Asked]:
        """Yield where those of some chunks, ascending, lie that were written, one shard after the other."""
        per_row, per_column = self._per_shard
        places = rows // per_row
        inside = rows % per_row * per_column + column % per_column
        bounds = np.flatnonzero(np.diff(places, prepend=-1, append=-1)).tolist()
        for first, last in pairwise(bounds):
            shard = self._shard(int(places[first]), column // per_column)
            if shard is not None:
                own = inside[first:last]
                own = own[shard.offsets[own] != NOT_STORED]
                yield Asked(shard.file, shard.offsets[own], shard.sizes[own])

    def request(self, rows: NDArray[np.int64], column: int) -> Sequence[Request]:
        """Ask for what finding some chunks takes first, and return the requests; none where all are found."""
        if not self.store.keys.is_remote:
            return []
        per_row, per_column = self._per_shard
        places = [(row, column // per_column) for row in np.unique(rows // per_row).tolist()]
        places = [place for place in places if place not in self._shards]
        requests = self.store.keys.request([self._key(*place) for place in places])
        if requests or self.array.index is None:
            return requests
        held = [stored for place in places if (stored := self._find_key(*place)) is not None]
        indices = [(stored.file, index_range(stored, self.array)) for stored in held]
        return [one for file, (offset, size) in indices for one in requested(file, [offset], [size])]

    def request_all(self, rows: NDArray[np.int64], column: int) -> None:
        """Have what finding some chunks takes, fetched at once."""
        for _ in range(_ROUNDS):
            for request in self.request(rows, column):
                with suppress(ScDatasetError, CancelledError):  # finding the chunk raises the same
                    result_of(request)

    def check(self) -> None:
        """Raise if the metadata of the array are not those that were read."""
        self._metadata.check()

    def close(self) -> None:
        """Close all shards and the store."""
        for shard in self._shards.values():
            shard.file.close()
        self.store.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_shards": {}}

    def _find_key(self, *place: int) -> Stored | None:
        key = self._key(*place)
        found = self.store.keys.find(key)
        if found is None:
            self._metadata.check()  # a store that was deleted is not one that was never written
            self.store.keys.check_absent(key)
        return found

    def _key(self, *place: int) -> str:
        numbers = self.array.separator.join(map(str, place[: len(self.array.shape)]))
        return f"{self.name}/{self.array.prefix}{numbers}"

    def _shard(self, row: int, column: int) -> Shard | None:
        known = self._shards.get((row, column))
        if known is not None:
            return known
        stored = self._find_key(row, column)
        if stored is None:
            return None
        try:
            shard = Shard.at(stored, self.array)
        except DamagedFileError as error:
            message = f"{stored.file.path}: the index of shard {row, column} of {self.name} {error}."
            raise DamagedFileError(message) from error
        return self._shards.setdefault((row, column), shard)


Gap = Callable[[int, int], str | None]
"""Returns the reason why the elements from one to another of an array cannot all have its fill value, or None if
they can."""


def _any_gap(_start: int, _stop: int) -> None:
    return None


class StoreChunks:
    """One column of the chunks of an array, decoded one at a time.

    A chunk that is not there has the fill value: zarr writes none in which every element has it, which chunks of a
    sparse matrix may also be. ``gap`` tells for some of those that they cannot.
    """

    def __init__(self, finder: ChunkFinder, strip: int, gap: Gap) -> None:
        self.path = finder.store.path
        self.name = finder.name
        self.dtype = finder.array.dtype.newbyteorder("=")
        self.length = finder.array.length
        self._finder = finder
        self._strip = strip
        self._gap = gap
        self._unchecked: dict[int, set[ByteSource]] = {}  # by thread: each looks at the files that it read itself

    @property
    def is_remote(self) -> bool:
        """Whether the store is."""
        return self._finder.store.keys.is_remote

    def piece(self, number: int) -> Array:
        """Read and decode a chunk; edge chunks are stored whole."""
        array = self._finder.array
        stored = self._finder.find(number, self._strip)
        if stored is None:
            wrong = self._gap(number * self.length, (number + 1) * self.length)
            if wrong is not None:
                message = f"{self.path}: chunk {number, self._strip} of {self.name} is not there, and {wrong}."
                raise DamagedFileError(message)
            return np.full(self.length, array.fill, self.dtype)
        content = stored.read_unchecked()
        if not stored.file.is_remote:  # requests for objects demand their version
            self._unchecked.setdefault(threading.get_ident(), set()).add(stored.file)
        try:
            if len(content) != stored.size:
                message = f"has {len(content):,} of {counted(stored.size, 'byte')}; the file is truncated"
                raise DamagedFileError(message)  # noqa: TRY301 named below, as all are
            with observed(DECODE, chunks=1):
                return decode(content, array.filters, 0, array.dtype, array.n_bytes).astype(self.dtype, copy=False)
        except DamagedFileError as error:
            stored.file.check()
            message = f"{stored.file.path}: chunk {number, self._strip} of {self.name} {error}."
            raise DamagedFileError(message) from error

    def check(self) -> None:
        """Raise if the store was replaced, or a file of it that this thread has read since it last looked."""
        self._finder.check()
        for file in self._unchecked.pop(threading.get_ident(), ()):
            file.check()

    def announce(self, numbers: NDArray[np.int64]) -> int:
        """Tell the system which bytes will be read soon; in a store, it goes on once chunks have been found."""
        return self._announce(numbers, _ROUNDS)

    def _announce(self, numbers: NDArray[np.int64], rounds: int) -> int:
        coming = self._finder.request(numbers, self._strip)
        if not coming:
            return sum(one.source.announce(one.offsets, one.sizes) for one in self._found(numbers))
        if rounds:
            after(coming, partial(copy_context().run, self._announce, numbers, rounds - 1))
        return len(coming)

    def ranges(self, numbers: NDArray[np.int64]) -> list[Asked]:
        """Return where those of these chunks are that were written."""
        self._finder.request_all(numbers, self._strip)
        return self._found(numbers)

    def _found(self, numbers: NDArray[np.int64]) -> list[Asked]:
        if self._finder.array.index is not None:
            found = list(self._finder.in_shards(numbers, self._strip))
            return [Asked(found[0].source, *joined(found))] if found and self._finder.store.keys.is_zip else found
        by_file: dict[str, list[Stored]] = {}
        for number in numbers.tolist():
            stored = self._finder.find(number, self._strip)
            if stored is not None:
                by_file.setdefault(stored.file.path, []).append(stored)
        where = [(chunks[0].file, [(one.offset, one.size) for one in chunks]) for chunks in by_file.values()]
        return [Asked(file, *np.array(places, np.int64).T) for file, places in where]

    def stored_sizes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bytes in the store of those of these chunks that were written."""
        found = (self._finder.find(number, self._strip) for number in numbers.tolist())
        return np.array([stored.size for stored in found if stored is not None], np.int64)

    def encoded_chunks(self, numbers: NDArray[np.int64]) -> EncodedChunks | None:
        """Return where these chunks lie, if they are in shards and a compiled loop can decode them."""
        array = self._finder.array
        decoder = None if array.index is None or not array.dtype.isnative else decoder_of(array.filters)
        return None if decoder is None else self._finder.encoded_chunks(decoder, numbers, self._strip)

    def close(self) -> None:
        """Close all files."""
        self._finder.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_unchecked": {}}


def csr_matrix(store: ZarrStore, group: str, shape: tuple[int, int], *, fallback: bool = False) -> CsrMatrix:
    """Return the row-sparse matrix in ``group``, which holds ``data``, ``indices`` and ``indptr``.

    Raises
    ------
    DamagedFileError
        If the three arrays contradict each other or ``shape``.
    """
    data, indices, indptr = (_array(store, f"{group}/{name}")[0] for name in ("data", "indices", "indptr"))
    if data.shape != indices.shape or len(data.shape) != 1 or indptr.shape != (shape[0] + 1,):
        message = (
            f"{store.path}: {group} has {data.shape} values, {indices.shape} column numbers and {indptr.shape} row "
            f"pointers for {counted(shape[0], 'row')}, which contradict each other."
        )
        raise DamagedFileError(message)
    if data.dtype.kind not in "iufb" or indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        message = (
            f"{store.path}: {group} has values of type {data.dtype}, column numbers of type {indices.dtype} and row "
            f"pointers of type {indptr.dtype}; it has to have real numbers, integers and integers."
        )
        raise CollectionError(message)
    gaps: list[int] = []
    [pointers] = arrays_of(store, f"{group}/indptr", fallback=fallback, gap=lambda start, _: gaps.append(start))
    try:
        table = RowPointers.from_pieces(_pieces(pointers, indptr, shape[0] + 1), shape[0], data.shape[0])
        if gaps and table.lengths.max(initial=0) > shape[1]:
            message = (
                f"lacks the chunk from {min(gaps)} on, without which rows have more than {counted(shape[1], 'column')}"
            )
            raise ValueError(message)  # noqa: TRY301 named below, as all are
    except ValueError as error:
        message = f"{store.path}: {group}/indptr {error}."
        raise DamagedFileError(message) from error
    finally:
        pointers.close()
    [values] = arrays_of(store, f"{group}/data", fallback=fallback)
    [columns] = arrays_of(store, f"{group}/indices", fallback=fallback, gap=partial(_repeats, table))
    return CsrMatrix(shape, values, columns, table)


def _repeats(table: RowPointers, start: int, stop: int) -> str | None:
    """Return why column numbers cannot all be the same: a row has a column once."""
    n = table.most_in(start, stop)
    return f"a row has {n} of its columns" if n > 1 else None


def dense_matrix(store: ZarrStore, name: str, *, fallback: bool = False) -> DenseMatrix:
    """Return the dense matrix in the array ``name``."""
    array, _ = _array(store, name)
    width = array.chunk[1] if isinstance(array, ZarrArray) and not fallback else array.shape[1]
    return DenseMatrix(array.shape, tuple(arrays_of(store, name, fallback=fallback)), max(width, 1))


def arrays_of(store: ZarrStore, name: str, *, fallback: bool = False, gap: Gap = _any_gap) -> list[StoredArray]:
    """Return the strips of an array of one or two axes as 1-D arrays, by the fastest path that serves.

    ``fallback=True`` takes the fallback path, which serves every layout. ``gap`` is for `StoreChunks`.
    """
    array, key = _array(store, name)
    if fallback or not isinstance(array, ZarrArray):
        node = store.array(name)
        width = int(np.prod(node.shape[1:]))
        chunk = node.shards or node.chunks
        rows = chunk[0] if len(chunk) == 1 or chunk[1] >= width else max(_FALLBACK_ELEMENTS // max(width, 1), 1)
        return [ChunkedArray(LibraryChunks(partial(store.array, name), store.path, name, rows, width, node.dtype))]
    finder = ChunkFinder(store, name, key, array)
    return [_plain(finder, strip) or ChunkedArray(StoreChunks(finder, strip, gap)) for strip in range(array.grid[1])]


def absent_chunks(store: ZarrStore, name: str) -> list[int]:
    """Return the numbers of the chunks of an array of one axis that were never written, as far as metadata tell."""
    array, key = _array(store, name)
    if not isinstance(array, ZarrArray):
        return []
    finder = ChunkFinder(store, name, key, array)
    return [number for number in range(array.grid[0]) if finder.find(number, 0) is None]


def _plain(finder: ChunkFinder, strip: int) -> PlainArray | None:
    """Return a column of chunks as plain bytes of one file, if they are that."""
    array = finder.array
    one_file = all(chunks <= held for chunks, held in zip(array.grid, array.per_shard, strict=True))
    if array.filters or not array.dtype.isnative or not (one_file or finder.store.keys.is_zip):
        return None
    finder.request_all(np.arange(array.grid[0]), strip)
    chunks = [finder.find(row, strip) for row in range(array.grid[0])]
    plain = [stored for stored in chunks if stored is not None and stored.size == array.n_bytes]
    if not plain or len(plain) != len(chunks):
        return None
    return PlainArray(
        plain[0].file, finder.name, array.dtype, array.length, np.array([stored.offset for stored in plain])
    )


def _array(store: ZarrStore, name: str) -> tuple[zarr.Array, str]:
    """Return an array as its metadata has it, or as zarr sees it where that takes zarr, and the key of its metadata."""
    key, metadata = store.keys.metadata(name)
    array = None if store.keys.encoded(name) else array_of(metadata)
    if array is not None:
        return array, key
    try:
        node = store.node(name)
    except Exception as error:
        message = f"{store.path}: zarr cannot open {name}: {type(error).__name__}: {error}"
        raise DamagedFileError(message) from error
    if not isinstance(node, zarr.Array):
        message = f"{store.path}: {name} is not an array."
        raise DamagedFileError(message)
    return node, key


def _pieces(pointers: StoredArray, array: zarr.Array, size: int) -> Iterator[Array]:
    """Read an array of one axis piece by piece; each is valid until the next is asked for."""
    chunk = array.length if isinstance(array, ZarrArray) else int((array.shards or array.chunks)[0])
    out = np.empty(0, pointers.dtype)
    for place in pieces_of(size, chunk):
        n = place.stop - place.start
        out = out if out.size >= n else np.empty(n, pointers.dtype)
        spans = Spans(np.array([place.start]), np.array([n]), np.zeros(1, np.int64))
        for work, first, last in pointers.tasks(spans, out[:n], ANY, 1):
            work(first, last)
        yield out[:n]
