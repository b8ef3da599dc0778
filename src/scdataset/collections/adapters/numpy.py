"""numpy arrays and memmaps."""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from scdataset._tables import counted
from scdataset._types import Array, DType, RowData
from scdataset.collections.handles import mapped_file, mapped_whole
from scdataset.collections.memory import BatchTaker, InMemory
from scdataset.collections.rows import RowIndex
from scdataset.engine.buffers import part
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["MemmapRows", "adapt", "cut", "take"]


_ROWS_A_CHECK = 1024
"""Rows of a mapped file that are taken between two looks at it, where batches are taken one by one."""


class MemmapRows(InMemory):
    """A read-only memmap, or a view of one, whose file must not change: reading a file that was cut short crashes."""

    def __init__(self, source: "np.memmap[tuple[int, ...], DType]") -> None:
        super().__init__(source)
        self._file = None
        with suppress(DamagedFileError):  # the file has lost its name, and stays as it is
            self._file = mapped_file(mapped_whole(source))

    def take(self, rows: RowIndex) -> RowData:
        """Take the rows into an ordinary array, or a view for a slice."""
        self._check()
        return super().take(rows)

    def batch_taker(self, *, leave: bool) -> BatchTaker:  # noqa: ARG002 taking is copying
        """Return a function that takes rows, for one iteration, and looks at the file as often as a window would."""
        mapped, unchecked = self.source.view(np.ndarray), 0

        def checked(rows: NDArray[np.int64]) -> Array:
            nonlocal unchecked
            if unchecked <= 0:
                self._check()
                unchecked = _ROWS_A_CHECK
            unchecked -= rows.size
            return take(mapped, rows)

        return checked

    def cut(self, rows: slice) -> RowData:
        """Copy rows from start to stop into an ordinary array."""
        self._check()
        return super().cut(rows)

    def _check(self) -> None:
        if self._file is not None:
            self._file.check_if_at_path()


def adapt(source: RowData) -> InMemory | None:
    """Adapt arrays with at least one axis; refuse the several arrays of an ``.npz`` file."""
    if isinstance(source, Mapping):
        message = (
            f"The collection is a file of {counted(len(source), 'array')} ({', '.join(source)}), which has no rows of "
            "its own. Give one of them, or MultiIndexable(dict(data)) if they have the same length."
        )
        raise CollectionError(message)
    if not isinstance(source, np.ndarray) or not source.ndim:
        return None
    if isinstance(source, np.memmap) and source.mode == "r" and mapped_whole(source) is not None:
        return MemmapRows(source)
    return InMemory(source)


def take(value: Array, rows: RowIndex) -> Array:
    """Take rows: a view for a slice, new memory otherwise."""
    if isinstance(rows, slice):
        return value[rows]
    plain = value.view(np.ndarray) if isinstance(value, np.memmap) else value
    return plain.take(rows, axis=0) if type(plain) is np.ndarray else plain[rows]


def cut(value: Array, rows: slice) -> Array:
    """Copy rows, or return them as a part of a buffer.

    A worker always copies, since it would send all of the buffer along.
    """
    if value.base is not None and get_worker_info() is None:
        view = part(value, rows.start, rows.stop)
        if view is not None:
            return view
    return (value.view(np.ndarray) if isinstance(value, np.memmap) else value)[rows].copy()
