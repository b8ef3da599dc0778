"""Files of the cache that hold integer arrays, with a checksum and a key that names their sources.

Anything else in its place counts as nothing: an older table, one that was cut short, changed, swapped with another or
written by someone else, a folder, a pipe, a circle of links. Nothing in it is executed.

NumPy's .npz could hold the same, and takes three times as long to read where tables are large, seven where small.
"""

import json
import os
import shutil
import stat
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scdataset._types import Array, BytesLike

__all__ = ["READ_FLAGS", "checksum", "read_table", "remove", "write_table"]

try:  # ISA-L sums several times as fast
    from isal import isal_zlib as _zlib
except ImportError:
    _zlib = zlib  # type: ignore[misc]

READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags for opening a path that may be anything: opening a pipe without O_NONBLOCK waits for a writer."""

_MAX_HEADER = 1 << 16

_START = struct.Struct("<16sII")
"""Header of a table: the mark, the checksum of all that follows, and the length of the header in JSON."""

_MARK = b"scdataset table2"

_NO_TABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, struct.error, MemoryError)


def read_table(path: Path, key: list[object]) -> list[Array] | None:
    """Return the arrays of a table, or None if there is none that is whole and has this key."""
    try:
        descriptor = os.open(path, READ_FLAGS)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            return _read(stream, status.st_size, key) if stat.S_ISREG(status.st_mode) else None
    except _NO_TABLE:
        return None


def _read(stream: BinaryIO, n_stored: int, key: list[object]) -> list[Array] | None:
    mark, expected, length = _START.unpack(stream.read(_START.size))
    if mark != _MARK or length > _MAX_HEADER:
        return None
    stored = stream.read(length)
    header = json.loads(stored)
    kinds = [(np.dtype(str(kind)), int(size)) for kind, size in header["arrays"]]
    n_bytes = sum(kind.itemsize * size for kind, size in kinds)
    whole = _START.size + length + n_bytes == n_stored
    if header["key"] != key or not whole or any(kind.kind not in "iu" or size < 0 for kind, size in kinds):
        return None
    arrays = [np.fromfile(stream, kind, size) for kind, size in kinds]
    return arrays if checksum(stored, *(array.data for array in arrays)) == expected else None


def write_table(path: Path, key: list[object], arrays: Sequence[Array]) -> None:
    """Write a table beside its place and move it there, so that no one ever sees a part of it.

    ``key`` is a list of values that JSON returns unchanged.
    """
    header = json.dumps({"key": key, "arrays": [(array.dtype.str, array.size) for array in arrays]}).encode()
    descriptor, part = tempfile.mkstemp(suffix=".table", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_START.pack(_MARK, checksum(header, *(array.data for array in arrays)), len(header)) + header)
            for array in arrays:
                stream.write(array.data)
        if path.is_dir() and not path.is_symlink():  # nothing but a folder stands in the way of a file
            remove(path)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def checksum(*parts: BytesLike) -> int:
    """Return the CRC-32 of bytes, or of buffers that follow each other."""
    total = 0
    for part in parts:
        total = _zlib.crc32(part, total)
    return total


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
