"""Tables that took long to make, kept in the user's cache folder for the next time a file is opened.

A table is kept under the path of the file that it describes, and is used only for the very file that it was made from:
the same device, inode, size and times of change, and under the same name. Whatever else is found there counts as
nothing, see `cache_table`, and so does a folder that cannot be written. Tables are read into memory rather than mapped:
a mapped file that another machine removes ends the process.

``SCDATASET_CACHE_DIR`` names the folder, and ``SCDATASET_CACHE=0`` switches it off. It holds 1 GiB at most.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scdataset._types import Array
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.cache_paths import cache_folder, switched_off
from scdataset.engine.cache_table import read_table, remove, write_table

__all__ = ["load", "load_under", "store", "store_under"]

_MAX_BYTES = 1 << 30
"""Of all tables together; the oldest are removed for new ones."""


def load(file: ByteSource, name: str) -> list[Array] | None:
    """Return the integer arrays that were stored for a file under a name, or None if there are none that hold."""
    return load_under(_place(file, name), _key(file, name))


def load_under(place: str, key: list[object]) -> list[Array] | None:
    """Return the integer arrays that were last stored at a place, or None if they do not hold for this key."""
    try:
        folder = _folder()
    except RuntimeError:  # there is no home
        return None
    return None if folder is None else read_table(_path(folder, place), [place, *key])


def store(file: ByteSource, name: str, arrays: Sequence[Array]) -> None:
    """Keep integer arrays for a file under a name, if that can be done."""
    if file.is_settled:
        store_under(_place(file, name), _key(file, name), arrays)


def store_under(place: str, key: list[object], arrays: Sequence[Array]) -> None:
    """Keep integer arrays at a place, of any name, if that can be done; ``key`` names their sources, as JSON."""
    with suppress(OSError, RuntimeError):
        folder = _folder()
        n_bytes = sum(array.nbytes for array in arrays)
        if folder is None or n_bytes > _MAX_BYTES:
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(folder, _MAX_BYTES - n_bytes)
        write_table(_path(folder, place), [place, *key], arrays)


def _folder() -> Path | None:
    """Return the folder of tables, or None if the user wants none."""
    return None if switched_off() else cache_folder() / "tables"


def _key(file: ByteSource, name: str) -> list[object]:
    return [file.address, *file.identity, name]


def _place(file: ByteSource, name: str) -> str:
    return f"{file.address}\0{name}"


def _path(folder: Path, place: str) -> Path:
    return folder / f"{hashlib.blake2b(os.fsencode(place), digest_size=16).hexdigest()}.table"


def _make_room(folder: Path, n_bytes: int) -> None:
    """Remove the oldest tables until the others take up no more than ``n_bytes``."""
    tables = []
    for path in folder.glob("*.table"):
        with suppress(FileNotFoundError):  # another process removes them too
            tables.append((path.lstat(), path))
    taken = sum(status.st_size for status, _ in tables)
    for status, path in sorted(tables, key=lambda table: table[0].st_mtime_ns):
        if taken <= n_bytes:
            break
        remove(path)
        taken -= status.st_size
