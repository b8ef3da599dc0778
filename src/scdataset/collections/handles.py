"""Handles on files, in other processes: they go there as `OpenedFile` and are opened again on arrival.

A pickled h5py object or memmap would fail, or carry the whole file along; and a handle that came along with a fork
shares its state with the parent's.
"""

import copy
import io
import mmap
import os
import pickle
import sys
from collections.abc import Callable
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

import numpy as np

from scdataset._types import Array, DType, RowData
from scdataset.collections.reopening import OpenedFile
from scdataset.errors import CollectionError

if TYPE_CHECKING:
    import h5py

__all__ = [
    "OwnedHandle",
    "descriptor_of",
    "dumps",
    "is_on_disk",
    "loads",
    "mapped_file",
    "mapped_whole",
    "opened_file",
    "refuse_closed",
]

loads = pickle.loads

_DESCRIPTOR_DRIVERS = frozenset(("sec2", "direct"))
"""HDF5 drivers whose handle is a descriptor."""

_PLAIN_FILE_DRIVERS = _DESCRIPTOR_DRIVERS | {"stdio"}
"""HDF5 drivers under which a path is all that it takes to open the file again."""


class OwnedHandle:
    """Something open that belongs to the process that opened it, and is opened again in any other.

    Attributes
    ----------
    files
        The files behind it as they were at construction, as far as they are known.
    """

    def __init__(self, source: RowData, *, reopens: bool = True) -> None:
        self._source = source
        self._reopens = reopens
        self._pid = os.getpid()
        self.files = [opened_file(file) for file in self._open_files(source)]
        self._descriptors: list[int | None] | None = None

    @property
    def source(self) -> Any:
        """The handle, this process's own; ``reopens=False`` leaves it alone, for data in memory."""
        if self._reopens and self._pid != os.getpid():
            self._source = self._opened_again()
            self._pid = os.getpid()
            self._descriptors = None
        return self._source

    def check(self) -> None:
        """Raise if a file that the handle reads from is another one than at construction, or has changed since."""
        source = self.source
        if self._descriptors is None:  # to ask h5py takes 30 times as long as to ask the system
            self._descriptors = [descriptor_of(file) for file in self._open_files(source)]
        for opened, descriptor in zip(self.files, self._descriptors, strict=True):
            if descriptor is None:
                continue
            try:
                opened.check(descriptor)
            except OSError:  # a closed descriptor leads nowhere, or to another file by now
                self._open_files(source)
                raise

    def _open_files(self, source: object) -> "list[h5py.File]":  # noqa: ARG002 for those that have some
        """Return the h5py files of a handle whose files are on disk; raise if they were closed."""
        return []

    def _opened_again(self) -> object:
        """Return the handle, opened by a process that it came to with a fork."""
        return loads(dumps(self._source))

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._pid = os.getpid()
        self._descriptors = None


def dumps(value: object, buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None) -> bytes:
    """Pickle ``value`` with every h5py object and memmap in it as a path.

    While a worker process is being started, tensors go through shared memory, as torch does it. Arrays go by
    ``buffer_callback``, as in `pickle.dumps`.
    """
    stream = io.BytesIO()
    pickler = _WorkerPickler if get_spawning_popen() is not None else _PathPickler
    pickler(stream, pickle.HIGHEST_PROTOCOL, True, buffer_callback).dump(value)  # noqa: FBT003 by position: ForkingPickler
    return stream.getvalue()


class _Paths:
    """Reduces handles to paths."""

    def reducer_override(self, value: object) -> Any:
        """Return how to open a handle again, or leave ``value`` to pickle."""
        if isinstance(value, np.memmap):
            return _memmap_by_path(value)
        zarr = sys.modules.get("zarr")
        if zarr is not None and isinstance(value, zarr.storage.ZipStore) and value.read_only:
            return _open_zip, (OpenedFile.from_path(value.path, fixed=True),)
        h5py = sys.modules.get("h5py")
        if h5py is not None and isinstance(value, (h5py.File, h5py.Group, h5py.Dataset)):
            return _h5_by_path(value)
        return NotImplemented


class _PathPickler(_Paths, pickle.Pickler):
    pass


class _WorkerPickler(_Paths, ForkingPickler):
    pass


def _h5_by_path(value: "h5py.HLObject") -> object:
    """Reduce a file, group or dataset to its path; a closed file stays closed, for AnnData opens it when it reads."""
    import h5py  # noqa: PLC0415 there is one, so it is imported

    if not value:
        if isinstance(value, h5py.File):
            return _closed_h5, ()
        message = "An h5py object whose file was closed cannot go to another process; open the file again."
        raise CollectionError(message)
    file = value.file
    if not is_on_disk(file):
        message = (
            f"The HDF5 file {file.filename!r} was opened with driver {file.driver!r}, so that other processes cannot "
            "open it again. Give h5py.File the path of a file on disk, or use num_workers=0."
        )
        raise CollectionError(message)
    if file.mode != "r" and get_spawning_popen() is not None:
        message = (
            f"The HDF5 file {file.filename!r} is open for writing (mode {file.mode!r}), so HDF5 lets no other process "
            'open it. Close it and open it with mode "r".'
        )
        raise CollectionError(message)
    return _open_h5, (opened_file(file), None if isinstance(value, h5py.File) else value.name)


def _open_h5(opened: OpenedFile, name: str | None) -> object:
    import h5py  # noqa: PLC0415 only where something of it was pickled

    file = opened.reopen(lambda path: h5py.File(path, "r"))
    descriptor = descriptor_of(file)
    if descriptor is not None:
        opened.check(descriptor)
    return file if name is None else file[name]


def refuse_closed(source: RowData) -> None:
    """Raise for an h5py object whose file was closed."""
    if not source:
        message = f"The collection is an h5py {type(source).__name__} whose file was closed; open the file again."
        raise CollectionError(message)


def is_on_disk(file: "h5py.File") -> bool:
    """Tell whether an ``h5py.File`` is a file of its own on disk, which can be opened again."""
    return file.driver in _PLAIN_FILE_DRIVERS


def opened_file(file: "h5py.File") -> OpenedFile:
    """Return which file on disk an ``h5py.File`` has open.

    Raises
    ------
    DamagedFileError
        If it has no descriptor, and the file under its path is another one.
    """
    descriptor, fixed = descriptor_of(file), file.mode == "r"
    if descriptor is None:
        return OpenedFile.from_path(file.filename, fixed=fixed)
    return OpenedFile.from_descriptor(file.filename, descriptor, fixed=fixed)


def descriptor_of(file: "h5py.File") -> int | None:
    """Return the descriptor of an ``h5py.File``, or None where its driver has none."""
    return file.id.get_vfd_handle() if file.driver in _DESCRIPTOR_DRIVERS else None


def _closed_h5() -> object:
    import h5py  # noqa: PLC0415 only where something of it was pickled

    file = h5py.File(io.BytesIO(), "w")
    file.close()
    return file


def _open_zip(opened: OpenedFile) -> object:
    import zarr  # noqa: PLC0415 only where something of it was pickled

    return copy.copy(zarr.storage.ZipStore(opened.find(), mode="r"))  # a copy is open, as the original was


def mapped_whole(value: "np.memmap[tuple[int, ...], DType]") -> Any:
    """Return the memmap that ``value`` is a view of; None where its values are not, or not only, those of a file."""
    whole: Any = value
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    is_file = isinstance(whole.base, mmap.mmap) and value.filename is not None and value.mode != "c"
    return whole if is_file else None


def mapped_file(whole: Any) -> OpenedFile:
    """Return the file that a whole memmap is of."""
    return OpenedFile.from_mapping(whole.filename, _address(whole), fixed=whole.mode == "r")


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _memmap_by_path(value: "np.memmap[tuple[int, ...], DType]") -> object:
    """Reduce a memmap, or any view of one, to its place in the file.

    A copy-on-write memmap goes by value, since changes to it are not in the file.
    """
    whole = mapped_whole(value)
    if whole is None:
        return NotImplemented
    start = _address(value) - _address(whole)
    place = (mapped_file(whole), value.filename, whole.offset, whole.nbytes)
    return _open_memmap, (place, value.shape, value.dtype, start, value.strides)


def _open_memmap(
    place: tuple[OpenedFile, str | None, int, int],
    shape: tuple[int, ...],
    dtype: DType,
    start: int,
    strides: tuple[int, ...],
) -> Array:
    """Map bytes of a file from an offset on, and return the array that begins at byte ``start`` of them."""
    opened, filename, offset, n_bytes = place
    with open(opened.find(), "rb") as file:  # noqa: PTH123 numpy takes a file
        opened.check(file.fileno())
        whole = np.memmap(file, np.uint8, "r", offset, (n_bytes,))
    whole.filename = filename
    array = np.ndarray.__new__(np.memmap, shape, dtype, whole, start, strides)
    array.__array_finalize__(whole)  # tells it of the file, as slicing does
    return array
