"""Handles on files, in other processes: they go there as paths and are opened again on arrival.

A pickled h5py object or memmap would fail, or carry the whole file along; and a handle that came along with a fork
shares its state with the parent's.
"""

import io
import mmap
import os
import pickle
import sys
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.errors import CollectionError

__all__ = ["OwnedHandle", "dumps", "loads"]

loads = pickle.loads

_PLAIN_FILE_DRIVERS = frozenset(("sec2", "stdio", "direct"))
"""HDF5 drivers under which a path is all that it takes to open the file again."""


class OwnedHandle:
    """Something open that belongs to the process that opened it, and is opened again in any other."""

    def __init__(self, source: Any, *, reopens: bool = True) -> None:
        self._source = source
        self._reopens = reopens
        self._pid = os.getpid()

    @property
    def source(self) -> Any:
        """The handle, this process's own; ``reopens=False`` leaves it alone, for what is in memory."""
        if self._reopens and self._pid != os.getpid():
            self._source = self._opened_again()
            self._pid = os.getpid()
        return self._source

    def _opened_again(self) -> Any:
        """Return the handle, opened by a process that it came to with a fork."""
        return loads(dumps(self._source))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pid = os.getpid()


def dumps(value: Any) -> bytes:
    """Pickle ``value`` with every h5py object and memmap in it as a path.

    While a worker process is being started, tensors go through shared memory, as torch does it.
    """
    buffer = io.BytesIO()
    pickler = _WorkerPickler if get_spawning_popen() is not None else _PathPickler
    pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


class _Paths:
    """Reduces handles to paths."""

    def reducer_override(self, value: Any) -> Any:
        """Return how to open a handle again, or leave ``value`` to pickle."""
        if isinstance(value, np.memmap):
            return _memmap_by_path(value)
        h5py = sys.modules.get("h5py")
        if h5py is not None and isinstance(value, (h5py.File, h5py.Group, h5py.Dataset)):
            return _h5_by_path(value)
        return NotImplemented


class _PathPickler(_Paths, pickle.Pickler):
    pass


class _WorkerPickler(_Paths, ForkingPickler):
    pass


def _h5_by_path(value: Any) -> Any:
    """Reduce a file, group or dataset to its path; a closed file stays closed, for AnnData opens it when it reads."""
    import h5py  # noqa: PLC0415 there is one, so it is imported

    if not value:
        if isinstance(value, h5py.File):
            return _closed_h5, ()
        message = "An h5py object whose file was closed cannot go to another process; open the file again."
        raise CollectionError(message)
    file = value.file
    if file.driver not in _PLAIN_FILE_DRIVERS:
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
    path = str(Path(file.filename).absolute())
    return _open_h5, (path, None if isinstance(value, h5py.File) else value.name)


def _open_h5(path: str, name: str | None) -> Any:
    import h5py  # noqa: PLC0415 only where something of it was pickled

    file = h5py.File(path, "r")
    return file if name is None else file[name]


def _closed_h5() -> Any:
    import h5py  # noqa: PLC0415 only where something of it was pickled

    file = h5py.File(io.BytesIO(), "w")
    file.close()
    return file


def _memmap_by_path(value: "np.memmap[Any, Any]") -> Any:
    """Reduce a memmap, or any view of one, to its place in the file.

    What was written to a copy-on-write memmap is not in the file, so that one goes by value.
    """
    whole: Any = value
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    if not isinstance(whole.base, mmap.mmap) or value.filename is None or value.mode == "c":
        return NotImplemented
    start = value.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    place = (value.filename, whole.offset, whole.nbytes)
    return _open_memmap, (place, value.shape, value.dtype, start, value.strides)


def _open_memmap(
    place: tuple[str, int, int], shape: tuple[int, ...], dtype: np.dtype[Any], start: int, strides: tuple[int, ...]
) -> NDArray[Any]:
    """Map a file from an offset for so many bytes, and return the array that begins at byte ``start`` of them."""
    path, offset, n_bytes = place
    whole = np.memmap(path, np.uint8, "r", offset, (n_bytes,))
    array = np.ndarray.__new__(np.memmap, shape, dtype, whole, start, strides)
    array.__array_finalize__(whole)  # tells it of the file, as slicing does
    return array
