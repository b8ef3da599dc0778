"""Tables that took long to make, kept in the user's cache folder for the next time a file is opened.

A table is kept under the path of the file that it describes, and is used only for the very file that it was made from:
the same device, inode, size and times of change. Whatever else is found there (an older one, one that was cut short,
changed, or written by someone else) counts as nothing, and so does a folder that cannot be written. Nothing in it is
executed. Tables are read into memory rather than mapped: a mapped file that another machine removes ends the process.

``SCDATASET_CACHE_DIR`` names the folder, and ``SCDATASET_CACHE=0`` switches it off. It holds 1 GiB at most.
"""

import hashlib
import json
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.cache_folder import cache_folder, switched_off
from scdataset.engine.files import OpenFile

__all__ = ["is_settled", "load", "load_under", "store", "store_under"]

try:  # ISA-L sums several times as fast
    from isal import isal_zlib as _zlib
except ImportError:
    _zlib = zlib  # type: ignore[misc]

_MAX_BYTES = 1 << 30
"""Of all tables together; the oldest are removed for new ones."""

_SETTLED = 2 * 10**9
"""Nanoseconds since a file was changed, before which it might change again and show the same time of change."""

_MAX_HEADER = 1 << 16

_START = struct.Struct("<16sII")
"""What a table begins with: the mark, the checksum of all that follows, and the length of the header in JSON."""

_MARK = b"scdataset table1"


def load(file: OpenFile, name: str) -> list[NDArray[Any]] | None:
    """Return the integer arrays that were stored for a file under a name, or None if there are none that hold."""
    return load_under(_place(file, name), _key(file, name))


def load_under(place: str, key: list[Any]) -> list[NDArray[Any]] | None:
    """Return the integer arrays that were last stored at a place, or None if they do not hold for this key."""
    try:
        folder = _folder()
        return None if folder is None else _read(_path(folder, place), key)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, struct.error, MemoryError):
        return None


def store(file: OpenFile, name: str, arrays: Sequence[NDArray[Any]]) -> None:
    """Keep integer arrays for a file under a name, if that can be done."""
    if is_settled(file):
        store_under(_place(file, name), _key(file, name), arrays)


def is_settled(file: OpenFile) -> bool:
    """Return whether a change of the file from now on would show in its time of change."""
    return time.time_ns() - file.changed >= _SETTLED


def store_under(place: str, key: list[Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Keep integer arrays at a place, of any name, if that can be done; ``key`` says what they are made of, as JSON."""
    with suppress(OSError, RuntimeError):
        folder = _folder()
        n_bytes = sum(array.nbytes for array in arrays)
        if folder is None or n_bytes > _MAX_BYTES:
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(folder, _MAX_BYTES - n_bytes)
        _write(_path(folder, place), key, arrays)


def _folder() -> Path | None:
    """Return the folder of tables, or None if there shall be none."""
    return None if switched_off() else cache_folder() / "tables"


def _key(file: OpenFile, name: str) -> list[Any]:
    return [os.path.realpath(file.path), *file.identity, name]


def _place(file: OpenFile, name: str) -> str:
    return f"{os.path.realpath(file.path)}\0{name}"


def _path(folder: Path, place: str) -> Path:
    return folder / f"{hashlib.blake2b(os.fsencode(place), digest_size=16).hexdigest()}.table"


def _read(path: Path, key: list[Any]) -> list[NDArray[Any]] | None:
    with path.open("rb") as stream:
        mark, checksum, length = _START.unpack(stream.read(_START.size))
        if mark != _MARK or length > _MAX_HEADER:
            return None
        stored = stream.read(length)
        header = json.loads(stored)
        kinds = [(np.dtype(str(kind)), int(size)) for kind, size in header["arrays"]]
        n_bytes = sum(kind.itemsize * size for kind, size in kinds)
        whole = _START.size + length + n_bytes == os.fstat(stream.fileno()).st_size
        if header["key"] != key or not whole or any(kind.kind not in "iu" or size < 0 for kind, size in kinds):
            return None
        arrays = [np.fromfile(stream, kind, size) for kind, size in kinds]
    return arrays if _checksum(stored, arrays) == checksum else None


def _write(path: Path, key: list[Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Write a table beside its place and move it there, so that no one ever sees a part of it."""
    header = json.dumps({"key": key, "arrays": [(array.dtype.str, array.size) for array in arrays]}).encode()
    descriptor, part = tempfile.mkstemp(suffix=".table", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_START.pack(_MARK, _checksum(header, arrays), len(header)) + header)
            for array in arrays:
                stream.write(array.data)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _checksum(header: bytes, arrays: Sequence[NDArray[Any]]) -> int:
    checksum = _zlib.crc32(header)
    for array in arrays:
        checksum = _zlib.crc32(array.data, checksum)
    return checksum


def _make_room(folder: Path, n_bytes: int) -> None:
    """Remove the oldest tables until the others take up no more than ``n_bytes``."""
    tables = [(path.stat(), path) for path in folder.glob("*.table")]
    taken = sum(status.st_size for status, _ in tables)
    for status, path in sorted(tables, key=lambda table: table[0].st_mtime_ns):
        if taken <= n_bytes:
            break
        path.unlink(missing_ok=True)
        taken -= status.st_size
