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
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OwnedHandle", "dumps", "loads"]

loads = pickle.loads


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
            self._source = loads(dumps(self._source))
            self._pid = os.getpid()
        return self._source

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
            return _open_h5, (value.file.filename, None if isinstance(value, h5py.File) else value.name)
        return NotImplemented


class _PathPickler(_Paths, pickle.Pickler):
    pass


class _WorkerPickler(_Paths, ForkingPickler):
    pass


def _open_h5(path: str, name: str | None) -> Any:
    import h5py  # noqa: PLC0415 only where something of it was pickled

    file = h5py.File(path, "r")
    return file if name is None else file[name]


def _memmap_by_path(value: "np.memmap[Any, Any]") -> Any:
    """Reduce a memmap, or a part of one that is contiguous, to its place in the file."""
    whole: Any = value
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    if not isinstance(whole.base, mmap.mmap) or value.filename is None or not value.flags.c_contiguous:
        return NotImplemented
    start = value.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return _open_memmap, (value.filename, value.dtype, whole.offset + start, value.shape)


def _open_memmap(path: str, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.memmap(path, dtype, "r", offset, shape)
