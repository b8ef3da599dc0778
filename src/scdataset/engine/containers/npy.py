"""Plain bytes of one array a file: .npy files, and files without a header."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import DType
from scdataset.engine.arrays.stored_arrays import PlainArray, StoredArray
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import DamagedFileError

__all__ = ["npy_array", "raw_array", "values_of"]

_LONGEST_HEADER = (1 << 16) + 12
"""Bytes before the elements of a .npy file at most, unless it names fields."""


def raw_array(file: ByteSource, name: str, dtype: DType, length: int, offset: int = 0) -> StoredArray:
    """Return ``length`` elements that a file holds from byte ``offset`` on; ``name`` is the array's for messages.

    Raises
    ------
    DamagedFileError
        If the file is shorter.
    """
    if length < 0 or file.size < offset + length * dtype.itemsize:
        message = (
            f"{file.path}: {name} has {counted(file.size - offset, 'byte')}, too few for {counted(length, 'element')} "
            f"of {dtype}."
        )
        raise DamagedFileError(message)
    return PlainArray(file, name, dtype, max(length, 1), np.array([offset], np.int64))


def npy_array(file: ByteSource, name: str) -> tuple[StoredArray, int]:
    """Return the elements of a .npy file of one axis, and their number.

    Raises
    ------
    DamagedFileError
        If it is not such a file.
    """
    try:
        stream = io.BytesIO(file.read(0, _LONGEST_HEADER))
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
    except (ValueError, OSError, EOFError) as error:
        message = f"{file.path}: {name} cannot be read: {error}"
        raise DamagedFileError(message) from error
    if len(shape) != 1 or not dtype.isnative or dtype.hasobject:
        message = f"{file.path}: {name} has shape {shape} and dtype {dtype}; it has to have one axis, of numbers."
        raise DamagedFileError(message)
    return raw_array(file, name, dtype, shape[0], stream.tell()), shape[0]


def values_of(path: Path) -> NDArray[np.int64]:
    """Return where the elements of a .npy file lie: first byte and end, shape ``(1, 2)``."""
    file = LocalFile(str(path))
    with file.stream() as stream:
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        return np.array([[stream.tell(), file.size]], np.int64)
