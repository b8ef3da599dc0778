"""Open files, each process its own, watched for being replaced."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdataset.errors import DamagedFileError

__all__ = ["OpenFile"]

_PROBES = 32
"""Bytes that are tried to tell whether a window is in the page cache: a microsecond each."""


class OpenFile:
    """A file that is opened when it is first read, in every process that reads it.

    Parameters
    ----------
    path
        The file. Its size and time of change are noted now, and it is refused if they have changed when it is opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity = _identity(Path(path).stat())
        self._descriptors: dict[int, int] = {}  # by process: a forked one has its parent's entry, and leaves it alone

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._identity.size

    @property
    def inode(self) -> int:
        """What the file system numbers the file by."""
        return self._identity.inode

    @property
    def changed(self) -> int:
        """When the file was last changed, in nanoseconds."""
        return self._identity.changed

    @property
    def descriptor(self) -> int:
        """The file descriptor of this process."""
        pid = os.getpid()
        if pid not in self._descriptors:
            opened = self._opened()
            if self._descriptors.setdefault(pid, opened) != opened:  # another thread was faster
                os.close(opened)
        return self._descriptors[pid]

    def _opened(self) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            message = f"{self.path} has vanished since it was opened: {error}."
            raise DamagedFileError(message) from error
        if _identity(os.fstat(descriptor)) != self._identity:
            os.close(descriptor)
            message = f"{self.path} was replaced or changed since it was opened; open it again."
            raise DamagedFileError(message)
        return descriptor

    def check(self) -> None:
        """Raise if the file under this path is no longer the one that was opened."""
        try:
            now = _identity(os.stat(self.path))  # noqa: PTH116 half the time of Path.stat, at every read
        except OSError as error:
            message = f"{self.path} has vanished while it was read: {error}."
            raise DamagedFileError(message) from error
        if now != self._identity:
            message = f"{self.path} was replaced or changed while it was read; open it again."
            raise DamagedFileError(message)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset`` of the file that was opened, or fewer where it ends."""
        stored = self.read_unchecked(offset, size)
        self.check()
        return stored

    def read_unchecked(self, offset: int, size: int) -> bytes:
        """As `read`, for whoever calls `check` once after many reads."""
        return os.pread(self.descriptor, size, offset)

    def in_page_cache(self, offsets: NDArray[np.int64]) -> bool:
        """Tell whether most of the bytes at these offsets can be read without waiting, where the system tells.

        A few are tried. A window that lacks little is read faster as it is than announced.
        """
        flag = getattr(os, "RWF_NOWAIT", None)
        if flag is None or offsets.size == 0:
            return False
        tried = offsets[:: max(offsets.size // _PROBES, 1)]
        missing = 0
        for offset in tried.tolist():
            try:
                os.preadv(self.descriptor, [bytearray(1)], offset, flag)
            except BlockingIOError:
                missing += 1
            except OSError:  # the file system cannot tell
                return False
        return missing <= tried.size // 8

    def close(self) -> None:
        """Close the descriptor of this process; the next read opens it again."""
        descriptor = self._descriptors.pop(os.getpid(), None)
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        if hasattr(self, "_descriptors") and os is not None:  # as the interpreter ends, modules go before objects
            self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_descriptors": {}}


class _Identity(NamedTuple):
    device: int
    inode: int
    size: int
    changed: int
    """In nanoseconds."""


def _identity(status: os.stat_result) -> _Identity:
    return _Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
