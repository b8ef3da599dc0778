"""Chunks of HDF5 that unpack to more than they hold, found before the library unpacks them.

The library inflates a chunk to its end, whatever the dataset says of its size, and its plugins take as much memory as a
chunk claims. No option of h5py bounds either.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import h5py
import numpy as np

from scdataset._types import Array
from scdataset.engine.codecs.decoding import FilterOption, decode
from scdataset.engine.codecs.unpacking import FREE, Filters, check_unpacked
from scdataset.engine.containers.hdf5_filters import claims_of, filters_of
from scdataset.engine.containers.hdf5_groups import datasets_within
from scdataset.errors import DamagedFileError

__all__ = ["BoundedDataset", "check_expansion"]

_FREE = FREE
"""Bytes that any chunk may unpack to."""

_RATIO = 1032
"""How many times as long as the stored bytes those are that deflate, or LZF, unpacks at most."""

_SHORT = {"gzip", "lzf"}
"""Compressors of that ratio; others may unpack a few bytes to any number."""

_REFERENCE = 8
"""Bytes of a length and of a number in a heap, which an element of variable length has beside an address."""

_KEEP_SIZE = {"shuffle", "fletcher32"}

_DEPTH = 4
"""Virtual datasets of virtual datasets that are followed."""


def check_expansion(stored: h5py.HLObject, depth: int = 0) -> None:
    """Raise if a chunk unpacks to more bytes than a chunk of its dataset has.

    Chunks that are too short to unpack to much are not looked into.

    Parameters
    ----------
    stored
        A dataset, or a group, of which datasets are looked at down to some depth.
    depth
        That depth.

    Raises
    ------
    DamagedFileError
        With the file, the dataset and the first element of the chunk.
    """
    for dataset in datasets_within(stored, depth):
        for source in _sources(dataset, _DEPTH):
            _check(source, _all_chunks, set())


class BoundedDataset:
    """A dataset whose chunks are looked at, each once, before h5py unpacks them.

    Parameters
    ----------
    open_dataset
        Returns it.
    known
        Chunks that were looked at, by whichever of these has the same set.
    """

    def __init__(self, open_dataset: Callable[[], h5py.Dataset], known: set[tuple[int, ...]]) -> None:
        self._dataset = open_dataset()
        self._known = known

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        shape: tuple[int, ...] = self._dataset.shape
        return shape

    def __getitem__(self, place: slice | tuple[slice, ...]) -> Array:
        """Read a part, of slices without steps."""
        if self._dataset.is_virtual:
            if not self._known:
                check_expansion(self._dataset)
                self._known.add(())
        else:
            slices = place if isinstance(place, tuple) else (place,)
            _check(self._dataset, lambda dataset: _chunks_of(dataset, slices), self._known)
        part: Array = self._dataset[place]
        return part


def _sources(dataset: h5py.Dataset, depth: int) -> Iterator[h5py.Dataset]:
    """Yield a dataset, or those of its file that a virtual one has its values from."""
    if not dataset.is_virtual:
        yield dataset
        return
    places = dataset.virtual_sources() if depth else ()
    for name in sorted({source.dset_name for source in places if source.file_name == "."}):
        source = dataset.file.get(name)
        if isinstance(source, h5py.Dataset):
            yield from _sources(source, depth - 1)


def _all_chunks(dataset: h5py.Dataset) -> Iterator[tuple[tuple[int, ...], int]]:
    """Return first element and stored bytes of all chunks."""
    places: list[tuple[tuple[int, ...], int]] = []
    dataset.id.chunk_iter(lambda chunk: places.append((chunk.chunk_offset, chunk.size)))
    return iter(places)


def _chunks_of(dataset: h5py.Dataset, place: tuple[slice, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield first element and stored bytes of the chunks that a part of a dataset takes."""
    axes = zip(itertools.chain(place, itertools.repeat(slice(None))), dataset.shape, dataset.chunks, strict=False)
    starts = [range(rows.indices(size)[0] // chunk * chunk, rows.indices(size)[1], chunk) for rows, size, chunk in axes]
    for first in itertools.product(*starts):
        stored = dataset.id.get_chunk_info_by_coord(first)
        if stored.byte_offset is not None:
            yield first, stored.size


def _check(
    dataset: h5py.Dataset,
    chunks: Callable[[h5py.Dataset], Iterator[tuple[tuple[int, ...], int]]],
    known: set[tuple[int, ...]],
) -> None:
    """Look at the chunks of more than a number of stored bytes, each for a chunk's size at most."""
    if dataset.chunks is None:
        return
    properties = dataset.id.get_create_plist()
    filters, claims = filters_of(properties), claims_of(properties)
    compressors = [name for name, _ in claims if name not in _KEEP_SIZE]
    least = _FREE // _RATIO if len(compressors) == 1 and set(compressors) <= _SHORT else 0
    if not compressors or dataset.id.get_storage_size() <= least:
        return
    n_bytes = math.prod(dataset.chunks) * _stored_size(dataset.id.get_type(), _address_size(dataset))
    for place, size in chunks(dataset):
        if size > least and place not in known:
            try:
                _check_chunk(dataset.id.read_direct_chunk(place), filters, claims, n_bytes)
            except DamagedFileError as error:
                message = f"{dataset.file.filename}: the chunk at {place} of {dataset.name} {error}."
                raise DamagedFileError(message) from error
            known.add(place)


def _check_chunk(
    stored: tuple[int, bytes], filters: tuple[tuple[str, FilterOption], ...] | None, claims: Filters, n_bytes: int
) -> None:
    """Decode a chunk, each step to the size of a chunk at most, or else find the sizes that it claims."""
    skipped, content = stored
    if filters is not None:
        decode(content, filters, skipped, np.dtype(np.uint8), n_bytes)
        return
    applied = [claim for number, claim in enumerate(claims) if not skipped >> number & 1]
    try:
        check_unpacked(content, applied, n_bytes + n_bytes // 8 + 1024)
    except ValueError as error:
        message = f"cannot be decoded: {error}"
        raise DamagedFileError(message) from error


def _address_size(dataset: h5py.Dataset) -> int:
    size: int = dataset.file.id.get_create_plist().get_sizes()[0]
    return size


def _stored_size(kind: h5py.h5t.TypeID, address: int) -> int:
    """Return the bytes of an element in the file; h5py has those in memory, which are fewer for variable lengths."""
    size: int = kind.get_size()
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        members = [kind.get_member_type(number) for number in range(kind.get_nmembers())]
        more: int = sum(_stored_size(member, address) - member.get_size() for member in members)
        return size + more
    strings = isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()
    if strings or isinstance(kind, h5py.h5t.TypeVlenID):
        return _REFERENCE + address
    return size
