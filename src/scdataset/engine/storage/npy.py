"""Plain bytes of one array a file: .npy files, and files without a header."""

from typing import Any

import numpy as np

from scdataset.engine.elements import Elements, PlainElements
from scdataset.engine.files import OpenFile
from scdataset.errors import DamagedFileError

__all__ = ["npy_elements", "raw_elements"]


def raw_elements(
    path: str, name: str, dtype: np.dtype[Any], length: int, offset: int = 0, source: str | None = None
) -> Elements:
    """Return ``length`` elements that a file holds from byte ``offset`` on.

    Parameters
    ----------
    path, name
        The file, and the array's name for messages.
    source
        The user's file, if this one is of a copy of it in the cache.

    Raises
    ------
    DamagedFileError
        If the file is shorter.
    """
    file = OpenFile(path, source)
    if file.size < offset + length * dtype.itemsize:
        message = f"{file.path}: {name} has {file.size - offset} bytes; {length} elements of {dtype} take more."
        raise DamagedFileError(message)
    return PlainElements(file, name, dtype, max(length, 1), np.array([offset], np.int64))


def npy_elements(path: str, name: str, source: str | None = None) -> tuple[Elements, int]:
    """Return the elements of a .npy file of one axis, and their number.

    Raises
    ------
    DamagedFileError
        If it is not such a file.
    """
    try:
        mapped = np.load(path, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        message = f"{source or path}: {name} cannot be read: {error}"
        raise DamagedFileError(message) from error
    if not isinstance(mapped, np.memmap) or mapped.ndim != 1 or not mapped.dtype.isnative:
        message = (
            f"{source or path}: {name} has shape {mapped.shape} and dtype {mapped.dtype}; it has to have one axis."
        )
        raise DamagedFileError(message)
    return raw_elements(path, name, mapped.dtype, mapped.size, mapped.offset, source), mapped.size
