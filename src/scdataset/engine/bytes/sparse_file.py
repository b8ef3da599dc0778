"""Local files with the parts of a remote object that were fetched, shared by the processes of a machine.

    blocks of the object, holes where none was fetched | an entry a block | a token

A block is written before its entry, which has its checksum: after a crash, or damage of the disk, an entry that does
not fit its block counts as none. Blocks are never taken back: a file is removed as a whole, and processes that have
it open read on from their own until they notice.

``SCDATASET_OBJECTS_GIB`` bounds the folder, 8 by default; the files that were used longest ago are removed
for others. 0 keeps fetched bytes in a file of the process alone.
"""

import errno
import os
import secrets
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.bytes import descriptors
from scdataset.engine.cache_paths import cache_folder, said_size, switched_off
from scdataset.engine.cache_table import checksum
from scdataset.errors import CacheError

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["BLOCK", "RemovedError", "SparseFile"]

BLOCK = 1 << 16
"""Bytes that are fetched together at least."""

_THERE = np.uint64(1 << 32)
"""Bit of an entry that says that its block is there; the bits below are its checksum."""

_VARIABLE = "SCDATASET_OBJECTS_GIB"

_TOKEN = 16
"""Bytes at the end that tell a file from others under its name."""

_DEFAULT, _OF_PROCESS = 1 << 33, 1 << 30
"""Bytes of the folder, and of a file of one process, where nothing else is said."""

_ENDING = ".object"

_TRIES = 16
"""How often a file is looked for that other processes make or remove meanwhile."""

_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class RemovedError(Exception):
    """The file was removed, to make room for others; it is not seen outside of this module."""


def most_bytes() -> int:
    """Return how many bytes the folder may have; 0 for no folder."""
    said = said_size(_VARIABLE)
    return 0 if switched_off() else _DEFAULT if said is None else int(said)


class SparseFile:
    """The parts of an object that were fetched.

    Parameters
    ----------
    key
        Tells the version of the object from all others.
    size
        Its bytes.

    Attributes
    ----------
    coming
        The requests that are under way, by block.

    Raises
    ------
    CacheError
        If it can be written neither in the cache folder nor as a temporary file.
    """

    def __init__(self, key: str, size: int) -> None:
        self.size = size
        self.coming: dict[int, Future[None]] = {}
        self._n_blocks = -(-size // BLOCK)
        self._most = most_bytes()
        self._n_written = 0
        self._entries = np.zeros(self._n_blocks, np.uint64)
        self._sound = np.zeros(self._n_blocks, bool)
        self._token = secrets.token_bytes(_TOKEN)
        self._place = self._made(key)
        self._n_written = int(np.count_nonzero(self._entries)) * BLOCK

    def has(self, blocks: NDArray[np.int64]) -> bool:
        """Tell whether all of some blocks were found or written by this process."""
        return bool(self._sound[blocks].all())

    def missing(self, blocks: NDArray[np.int64], descriptor: int) -> NDArray[np.int64]:
        """Return those of some blocks, ascending, that have to be fetched.

        No lock is taken here and in `write` and `read`, see `RemoteStream`: whoever calls holds the descriptor.
        """
        unknown = blocks[~self._sound[blocks]]
        if unknown.size == 0:
            return unknown
        self._load(descriptor, int(unknown[0]), int(unknown[-1]) + 1)
        for block in unknown[self._entries[unknown] != 0].tolist():
            self._sound[block] = self._entries[block] == self._entry(self._content(descriptor, block))
        return unknown[~self._sound[unknown]]

    def write(self, first: int, content: memoryview, descriptor: int) -> None:
        """Write blocks from ``first`` on."""
        n_blocks = -(-len(content) // BLOCK)
        entries = np.array([self._entry(content[at : at + BLOCK]) for at in range(0, len(content), BLOCK)], np.uint64)
        try:
            _write_all(descriptor, content, first * BLOCK)
            _write_all(descriptor, entries.data.cast("B"), self._entry_place(first))
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            message = (
                f"Bytes of an object store cannot be cached in {self._place.parent}: {error.strerror}. Make room, or "
                "set SCDATASET_CACHE_DIR to another folder, or SCDATASET_OBJECTS_GIB to a smaller size."
            )
            raise CacheError(message) from error
        self._entries[first : first + n_blocks] = entries
        self._sound[first : first + n_blocks] = True
        self._n_written += n_blocks * BLOCK
        if self._most:
            _FOLDERS.note_written(self._place, n_blocks * BLOCK, self._most)

    def read(self, offset: int, size: int, descriptor: int) -> bytes:
        """Return bytes of blocks that are there, or fewer where the object ends."""
        stop = min(offset + size, self.size)
        parts = []
        while offset < stop and (part := os.pread(descriptor, stop - offset, offset)):
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def check_room(self, descriptor: int) -> None:
        """Raise if the file was removed, since others would not find blocks that are written; remove it if it is full.

        Raises
        ------
        RemovedError
            If another has to be begun.
        """
        if self._n_written > (self._most // 2 or _OF_PROCESS):
            self._place.unlink(missing_ok=True)
            raise RemovedError
        if self._most and os.fstat(descriptor).st_nlink == 0:
            raise RemovedError

    def open_now(self) -> int:
        """Open the file, which has to be the one that was written to.

        Raises
        ------
        RemovedError
            If it is another.
        """
        try:
            descriptor = os.open(self._place, _FLAGS)
        except FileNotFoundError as error:
            raise RemovedError from error
        if os.pread(descriptor, _TOKEN, self._length - _TOKEN) != self._token:
            os.close(descriptor)
            raise RemovedError
        return descriptor

    def close(self) -> None:
        """Close the descriptor of this process, once nobody reads it."""
        descriptors.close(self)

    def __del__(self, close: Callable[["SparseFile"], None] = descriptors.close) -> None:
        close(self)  # by a name of its own, as in `LocalFile`

    @property
    def _length(self) -> int:
        return self._entry_place(self._n_blocks) + _TOKEN

    def _entry_place(self, block: int) -> int:
        return self._n_blocks * BLOCK + block * self._entries.itemsize

    def _entry(self, content: memoryview | bytes) -> np.uint64:
        return np.uint64(checksum(content)) | _THERE

    def _content(self, descriptor: int, block: int) -> bytes:
        return os.pread(descriptor, min(BLOCK, self.size - block * BLOCK), block * BLOCK)

    def _load(self, descriptor: int, first: int, last: int) -> None:
        """Look again which blocks are there: other processes fetch some too."""
        stored = os.pread(descriptor, (last - first) * self._entries.itemsize, self._entry_place(first))
        entries = np.frombuffer(stored, np.uint64)
        self._entries[first : first + entries.size] = entries

    def _made(self, key: str) -> Path:
        """Find or make the file, and return its place."""
        name = f"{blake2b(key.encode(), digest_size=20).hexdigest()}{_ENDING}"
        if self._most:
            with suppress(OSError, RuntimeError):
                place = cache_folder() / "objects" / name
                self._open_or_make(place)
                return place
        self._most = 0
        try:
            return self._of_process()
        except OSError as error:
            message = (
                f"Bytes of an object store can be written neither to the cache nor as a temporary file: {error}. Set "
                "SCDATASET_CACHE_DIR to a folder that can be written and has space."
            )
            raise CacheError(message) from error

    def _open_or_make(self, path: Path) -> None:
        """Open the file at a path, or make it; other processes may do so too, and remove it."""
        for _ in range(_TRIES):
            with suppress(FileExistsError):
                descriptor = self._opened(path)
                descriptors.keep(self, self._made_at(path) if descriptor is None else descriptor)
                return
        raise FileExistsError(path)

    def _opened(self, path: Path) -> int | None:
        """Open the file and note its blocks; return its descriptor, or None if there is no whole file."""
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            return None
        if os.fstat(descriptor).st_size == self._length:
            with suppress(OSError):  # removed meanwhile, or not ours
                os.utime(path)
            self._token = os.pread(descriptor, _TOKEN, self._length - _TOKEN)
            self._load(descriptor, 0, self._n_blocks)
            return descriptor
        os.close(descriptor)
        path.unlink(missing_ok=True)
        return None

    def _made_at(self, path: Path) -> int:
        """Make the file, which is whole once it has its token at the end, and return its descriptor."""
        flags = _FLAGS | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, flags, 0o600)
        return self._begun(descriptor, path)

    def _of_process(self) -> Path:
        """Make a file that goes with its descriptor; once that is closed, another is begun."""
        descriptor, part = tempfile.mkstemp(suffix=_ENDING, prefix="scdataset-")
        descriptors.keep(self, self._begun(descriptor, Path(part)))
        Path(part).unlink(missing_ok=True)
        return Path(part)

    def _begun(self, descriptor: int, path: Path) -> int:
        """Write the token at the end of a new file."""
        try:
            _write_all(descriptor, memoryview(self._token), self._length - _TOKEN)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return descriptor


class _Folders:
    """Bytes that this process wrote since it looked at a folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_written: dict[Path, int] = {}

    def note_written(self, path: Path, n_bytes: int, most: int) -> None:
        """Count bytes, and make room if there are many; the file that they went to was used just now."""
        if not self._lock.acquire(blocking=False):  # another thread counts: this one does not wait, see `RemoteStream`
            return
        try:
            n_written = self._n_written.get(path.parent, most) + n_bytes
            full = n_written > most // 16
            self._n_written[path.parent] = 0 if full else n_written
        finally:
            self._lock.release()
        if full:
            _make_room(path.parent, most)


_FOLDERS = _Folders()


def _make_room(folder: Path, most: int) -> None:
    """Remove the files that were used longest ago until the others take up no more than ``most`` bytes."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):  # another process removes them too
                status = entry.stat(follow_symlinks=False)
                found.append((status.st_mtime_ns, getattr(status, "st_blocks", 0) * 512, entry.path))
    taken = sum(n_bytes for _, n_bytes, _ in found)
    for _, n_bytes, path in sorted(found):
        if taken <= most:
            break
        with suppress(OSError):
            Path(path).unlink()
        taken -= n_bytes


def _write_all(descriptor: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written


def _begin_anew() -> None:
    """Leave the parent's lock alone, which another of its threads may have held."""
    global _FOLDERS  # noqa: PLW0603 each process has its own
    _FOLDERS = _Folders()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
