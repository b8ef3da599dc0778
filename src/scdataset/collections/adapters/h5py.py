"""h5py datasets."""

import os

import h5py
import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array, RowData
from scdataset.collections.ascending import ascending, runs
from scdataset.collections.handles import OwnedHandle, is_on_disk, refuse_closed
from scdataset.engine.containers.hdf5_links import check_parts
from scdataset.engine.containers.hdf5_sources import OtherFiles
from scdataset.errors import CollectionError

__all__ = ["adapt", "cut"]

_GAP_BYTES = 1 << 16
"""Rows between two requested ones are read along up to this size: a call costs more than they do."""

_PLAIN_GAP_BYTES = 1 << 13
"""The same for a call of the system."""

_ROWS_A_PLAIN_CALL = 512
"""Rows of a call of the system, which fills at most 1,024 buffers: a row and a gap are two."""

_ROWS_A_CALL = 256
"""Rows far apart that HDF5 is asked for at once: older versions take time by the square of their number."""


class H5Rows(OwnedHandle):
    """A dense HDF5 dataset, read in stretches of neighbouring rows."""

    def __init__(self, source: h5py.Dataset) -> None:
        super().__init__(source)
        self._plain: dict[int, tuple[int, int] | None] = {}
        self._others = OtherFiles()
        self.check()

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def _shape(self) -> tuple[int, ...]:
        try:
            return tuple(self.source.shape)
        except RuntimeError:  # of a file opened for reading, h5py has it when it is closed as well
            refuse_closed(self.source)
            raise

    def read(self, rows: NDArray[np.int64]) -> Array:
        """Return the rows, shape ``(n, *shape[1:])``."""
        self.check()
        dataset = self.source
        distinct, places = ascending(rows)
        fetched = np.empty((distinct.size, *self._shape[1:]), dataset.dtype)
        if not self._read_plain(distinct, fetched):
            refuse_closed(dataset)  # whose descriptor is open on if another handle has the file open
            _read(dataset, distinct, fetched)
        return fetched if places is None else fetched.take(places, axis=0)

    def _read_plain(self, rows: NDArray[np.int64], out: Array) -> bool:
        """Read ascending rows past HDF5, which takes five times as long for a few; return whether that was possible."""
        process = os.getpid()
        if process not in self._plain:
            self._plain = {process: _plain_place(self.source) if self.files else None}
        place = self._plain[process]
        if place is None or not out.size:
            return False
        descriptor, offset = place
        content, row_bytes = out.reshape(-1).view(np.uint8), out.nbytes // len(rows)
        for start in range(0, rows.size, _ROWS_A_PLAIN_CALL):
            piece = rows[start : start + _ROWS_A_PLAIN_CALL]
            part = content[start * row_bytes : (start + piece.size) * row_bytes]
            if not _read_past(descriptor, offset, piece, part, row_bytes):
                return False  # HDF5 names the fault of the file
        return True

    def check(self) -> None:
        """Raise if a file that the handle reads from, or a file with a part in it, is another one than at first."""
        super().check()
        dataset = self.source
        if dataset.is_virtual or dataset.external:
            check_parts(dataset, self._others)

    def fingerprint(self) -> str:
        """Return file, name, shape and dtype."""
        dataset = self.source
        place = self.files[0].path if self.files else dataset.file.filename
        return f"{place}:{dataset.name}:{dataset.shape}:{dataset.dtype}"

    def _open_files(self, source: h5py.Dataset) -> list[h5py.File]:
        refuse_closed(source)
        return [source.file] if is_on_disk(source.file) else []


def _read(dataset: h5py.Dataset, rows: NDArray[np.int64], out: Array) -> None:
    """Read ascending rows through HDF5, in stretches where they lie near each other."""
    stretches = runs(rows, _GAP_BYTES * rows.size // max(out.nbytes, 1))
    if 2 * len(stretches) > rows.size:
        for start in range(0, rows.size, _ROWS_A_CALL):
            out[start : start + _ROWS_A_CALL] = dataset[rows[start : start + _ROWS_A_CALL]]
        return
    for first, last in stretches:
        start, stop = int(rows[first]), int(rows[last - 1]) + 1
        stretch = dataset[start:stop]
        out[first:last] = stretch if last - first == stop - start else stretch[rows[first:last] - start]


def _read_past(descriptor: int, offset: int, rows: NDArray[np.int64], out: NDArray[np.uint8], row_bytes: int) -> bool:
    """Read ascending rows that lie one after the other from ``offset`` on; return whether all were there."""
    content, left_out = out.data, np.empty(_PLAIN_GAP_BYTES, np.uint8).data
    buffers: list[memoryview] = []
    begun = stop = int(rows[0])
    for first, last in [*runs(rows, 0), (rows.size, rows.size)]:
        start = int(rows[first]) if first < rows.size else stop + _PLAIN_GAP_BYTES + 1  # the end
        gap = (start - stop) * row_bytes
        if gap > _PLAIN_GAP_BYTES:
            if os.preadv(descriptor, buffers, offset + begun * row_bytes) != (stop - begun) * row_bytes:
                return False
            buffers, begun = [], start
        elif gap:
            buffers.append(left_out[:gap])
        buffers.append(content[first * row_bytes : last * row_bytes])
        stop = start + last - first
    return True


def _plain_place(dataset: h5py.Dataset) -> tuple[int, int] | None:
    """Return the descriptor and the offset of an array that lies in the file as it is read, or None.

    None also where the file may be written to, as HDF5 may not have written all yet.
    """
    file, offset = dataset.file, dataset.id.get_offset()
    is_plain = file.mode == "r" and file.driver == "sec2" and not file.swmr_mode and not file.userblock_size
    if not (is_plain and offset is not None and _stored_as_it_is(dataset) and hasattr(os, "preadv")):
        return None
    return file.id.get_vfd_handle(), offset


def _stored_as_it_is(dataset: h5py.Dataset) -> bool:
    kind: h5py.h5t.TypeID = dataset.id.get_type()
    return dataset.dtype.kind in "iuf" and kind == h5py.h5t.py_create(dataset.dtype)


def adapt(source: RowData) -> H5Rows | None:
    """Adapt datasets with at least one axis; name the remedy for a group, a file, and a closed one."""
    if not isinstance(source, (h5py.Dataset, h5py.Group)):
        return None
    refuse_closed(source)
    if isinstance(source, h5py.Dataset) and source.shape:
        return H5Rows(source)
    message = (
        f"The collection is an h5py {type(source).__name__} ({source!r}), which has no rows. Give a dataset with at "
        "least one axis, or, for a file of cells, open_collection(path) or anndata.read_h5ad(path, backed='r')."
    )
    raise CollectionError(message)


def cut(value: h5py.Dataset, rows: slice) -> RowData:
    """Read rows that follow each other."""
    return value[rows]
