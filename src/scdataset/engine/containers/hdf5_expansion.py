"""Chunks of HDF5 that unpack to more than they hold, found before the library unpacks them.

The library inflates a chunk to its end, whatever the dataset says of its size, and its plugins take as much memory as a
chunk claims. No option of h5py bounds either.
"""

import math
from typing import Any

import h5py
import numpy as np

from scdataset.engine.codecs.decoding import decode
from scdataset.engine.containers.hdf5_filters import filters_of
from scdataset.engine.containers.hdf5_groups import datasets_within
from scdataset.errors import DamagedFileError

__all__ = ["check_expansion"]

_FREE = 1 << 28
"""Bytes that any chunk may unpack to."""

_RATIO = 1032
"""How many times as long as the stored bytes those are that deflate, or LZF, unpacks at most."""

_BOUNDED = {"gzip", "lzf"}
"""Compressors of that ratio; others may unpack a few bytes to any number."""

_REFERENCE = 8
"""Bytes of a length and of a number in a heap, which an element of variable length has beside an address."""

_KEEP_SIZE = {"shuffle", "fletcher32"}


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
        if dataset.chunks is None or dataset.is_virtual:
            continue
        filters = filters_of(dataset.id.get_create_plist()) or ()
        compressors = [name for name, _ in filters if name not in _KEEP_SIZE]
        least = _FREE // _RATIO if len(compressors) == 1 and set(compressors) <= _BOUNDED else 0
        if compressors and dataset.id.get_storage_size() > least:
            _check_chunks(dataset, filters, least)


def _check_chunks(dataset: h5py.Dataset, filters: tuple[tuple[str, object], ...], least: int) -> None:
    """Decode the chunks of more than ``least`` stored bytes, each to the size of a chunk at most."""
    places: list[tuple[int, ...]] = []

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.size > least:
            places.append(chunk.chunk_offset)

    dataset.id.chunk_iter(note)
    n_bytes = math.prod(dataset.chunks) * _stored_size(dataset.id.get_type(), _address_size(dataset))
    for place in places:
        skipped, content = dataset.id.read_direct_chunk(place)
        try:
            decode(content, filters, skipped, np.dtype(np.uint8), n_bytes)
        except DamagedFileError as error:
            message = f"{dataset.file.filename}: the chunk at {place} of {dataset.name} {error}."
            raise DamagedFileError(message) from error


def _address_size(dataset: h5py.Dataset) -> int:
    size: int = dataset.file.id.get_create_plist().get_sizes()[0]
    return size


def _stored_size(kind: Any, address: int) -> int:
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
