"""Lengths of the strings of an array in HDF5, compared with the file before the library makes room for them."""

from collections.abc import Iterator
from contextlib import suppress

import h5py
import numpy as np

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.engine.codecs.decoding import decode
from scdataset.engine.containers.hdf5_filters import filters_of
from scdataset.engine.containers.hdf5_groups import datasets_within
from scdataset.engine.containers.hdf5_sources import source_of
from scdataset.engine.containers.string_references import REFERENCE
from scdataset.errors import DamagedFileError

__all__ = ["check_lengths"]

_RUN = 1 << 18
"""References that are read at a time where they are not in chunks."""


def check_lengths(stored: h5py.HLObject, depth: int = 0, rows: slice | None = None) -> None:
    """Raise if a string is longer than the file that it is in.

    Parameters
    ----------
    stored, depth
        A dataset, or a group whose datasets are checked down to that depth.
    rows
        The rows of a dataset that are going to be read; None for all.

    Raises
    ------
    DamagedFileError
        With the name of the dataset.
    """
    for dataset in filter(_holds_references, datasets_within(stored, depth)):
        path = dataset.file.filename
        most = source_of(path).size
        for references in _references(dataset, path, rows or slice(0, dataset.size)):
            longest = int(references["length"].max(initial=0))
            if longest > most:
                message = (
                    f"{path}: {dataset.name} has a string of {counted(longest, 'byte')}, in a file of {most:,}; it is "
                    "damaged."
                )
                raise DamagedFileError(message)


def _holds_references(dataset: h5py.Dataset) -> bool:
    """Tell whether a dataset has strings in heaps, with references where this package can find them."""
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or kind.length is not None or dataset.ndim != 1 or dataset.size == 0:
        return False
    plain = not dataset.is_virtual and dataset.external is None and dataset.file.userblock_size == 0
    return plain and dataset.file.id.get_create_plist().get_sizes()[0] == REFERENCE["address"].itemsize


def _references(dataset: h5py.Dataset, path: str, rows: slice) -> Iterator[Array]:
    """Yield the references of at least these rows."""
    if dataset.chunks is None:
        yield from _contiguous(dataset, path, rows)
        return
    filters = filters_of(dataset.id.get_create_plist())
    if filters is None:
        return
    (length,) = dataset.chunks
    for start in range(rows.start // length * length, rows.stop, length):
        with suppress(OSError, RuntimeError, ValueError):  # not there, or damaged, which is told when it is read
            skipped, content = dataset.id.read_direct_chunk((start,))
            yield decode(content, filters, skipped, REFERENCE, length * REFERENCE.itemsize)


def _contiguous(dataset: h5py.Dataset, path: str, rows: slice) -> Iterator[Array]:
    offset = dataset.id.get_offset()
    if offset is None:  # never written, or in the header
        return
    file, size = source_of(path), REFERENCE.itemsize
    for start in range(rows.start, rows.stop, _RUN):
        content = file.read_unchecked(offset + start * size, min(_RUN, rows.stop - start) * size)
        yield np.frombuffer(content, REFERENCE, len(content) // size)
