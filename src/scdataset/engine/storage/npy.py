"""Plain bytes of one array a file: .npy files, and files without a header."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.elements import Elements, PlainElements
from scdataset.engine.files import OpenFile
from scdataset.errors import DamagedFileError

__all__ = ["npy_elements", "raw_elements", "values_of"]


def raw_elements(file: OpenFile, name: str, dtype: np.dtype[Any], length: int, offset: int = 0) -> Elements:
    """Return ``length`` elements that a file holds from byte ``offset`` on; ``name`` is the array's for messages.

    Raises
    ------
    DamagedFileError
        If the file is shorter.
    """
    if file.size < offset + length * dtype.itemsize:
        message = f"{file.path}: {name} has {file.size - offset} bytes; {length} elements of {dtype} take more."
        raise DamagedFileError(message)
    return PlainElements(file, name, dtype, max(length, 1), np.array([offset], np.int64))


def npy_elements(file: OpenFile, name: str) -> tuple[Elements, int]:
    """Return the elements of a .npy file of one axis, and their number.

    Raises
    ------
    DamagedFileError
        If it is not such a file.
    """
    try:
        mapped = np.load(file.place, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        message = f"{file.path}: {name} cannot be read: {error}"
        raise DamagedFileError(message) from error
    if not isinstance(mapped, np.memmap) or mapped.ndim != 1 or not mapped.dtype.isnative:
        message = f"{file.path}: {name} has shape {mapped.shape} and dtype {mapped.dtype}; it has to have one axis."
        raise DamagedFileError(message)
    return raw_elements(file, name, mapped.dtype, mapped.size, mapped.offset), mapped.size


def values_of(path: Path) -> NDArray[np.int64]:
    """Return where the elements of a .npy file lie: first byte and end, shape ``(1, 2)``."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return np.array([[file.tell(), path.stat().st_size]], np.int64)
