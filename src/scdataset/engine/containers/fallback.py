"""The fallback: pieces of an array read by the library that knows its format, slower and right."""

import os
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array, DType
from scdataset.engine.arrays.read_cost import Asked
from scdataset.engine.containers.handles import handles_open
from scdataset.engine.observer import DECODE, note, observed
from scdataset.errors import DamagedFileError

__all__ = ["LibraryChunks", "Tiles"]

_LOCKS: dict[int, threading.Lock] = {}
"""By process: HDF5 serves one thread at a time, whatever the number of files; a fork may leave a lock taken."""


class LibraryRows(Protocol):
    """Rows of an array, as its library gives them."""

    def __getitem__(self, rows: slice, /) -> Array: ...


class LibraryArray(Protocol):
    """An array of two axes, as its library gives it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, place: tuple[slice, ...], /) -> Array: ...


class LibraryChunks:
    """Pieces of an array of one or two axes, of whole rows, read through the object that its library gives.

    Parameters
    ----------
    open_array
        Returns the array: called once in every process that reads it.
    path, name
        The file and the array's name in it, for messages.
    rows
        Rows in a piece; a row is one element of a 1-D array.
    width
        Elements in a row.
    dtype
        Type of the elements as they are stored.
    """

    def __init__(
        self, open_array: Callable[[], LibraryRows], path: str, name: str, rows: int, width: int, dtype: DType
    ) -> None:
        self.path = path
        self.name = name
        self.dtype = dtype.newbyteorder("=")
        self.length = max(rows * width, 1)
        self._rows = rows
        self._open_array = open_array

    is_remote = False  # the library reads when it likes

    def piece(self, number: int) -> Array:
        """Read rows through the library."""
        with handles_open(), _LOCKS.setdefault(os.getpid(), threading.Lock()):
            try:
                with observed(DECODE, requests=1, chunks=1):
                    rows = self._open_array()[number * self._rows : (number + 1) * self._rows]
                    piece = np.ascontiguousarray(rows, self.dtype).reshape(-1)
            except Exception as error:
                message = f"{self.path}: rows from {number * self._rows} of {self.name} cannot be read: {error}"
                raise DamagedFileError(message) from error
        note(bytes=piece.nbytes)
        return piece

    def check(self) -> None:
        """Do nothing: whoever gives the array looks at its file each time."""

    def announce(self, numbers: NDArray[np.int64]) -> int:  # noqa: ARG002 as in the protocol
        """Do nothing: only the library knows where the bytes are."""
        return 0

    def ranges(self, numbers: NDArray[np.int64]) -> list[Asked]:  # noqa: ARG002 as above
        """Return none, as above."""
        return []

    def encoded_chunks(self, numbers: NDArray[np.int64]) -> None:
        """Return None: only the library knows."""

    def stored_sizes(self, numbers: NDArray[np.int64]) -> None:
        """Return None: only the library knows how many bytes pieces take."""

    def close(self) -> None:
        """Do nothing: whoever gave the array closes it."""


class Tiles:
    """The tiles of an array of two axes as the rows of one, in rows of tiles, filled up with zeros at its ends.

    Parameters
    ----------
    open_array
        Returns the array.
    tile
        Rows and columns in a tile.
    """

    def __init__(self, open_array: Callable[[], LibraryArray], tile: tuple[int, ...]) -> None:
        self._array = open_array()
        self._tile = tile

    def __getitem__(self, rows: slice) -> Array:
        """Return one tile, shape ``(1, tile[0] * tile[1])``; ``rows`` starts at its number."""
        height, width = self._tile
        row, column = divmod(rows.start, -(-self._array.shape[1] // width))
        part = self._array[row * height : (row + 1) * height, column * width : (column + 1) * width]
        whole = np.zeros(self._tile, part.dtype)
        whole[: part.shape[0], : part.shape[1]] = part
        return whole.reshape(1, -1)
