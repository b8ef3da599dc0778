"""Files of this machine, each opened anew in every process and watched for being replaced."""

import errno
import io
import mmap
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.bytes import descriptors
from scdataset.engine.bytes.identity import FileIdentity
from scdataset.engine.bytes.memory_map import MemoryMap
from scdataset.engine.kernels.gather import READS_COMPILED, advise_ranges
from scdataset.errors import DamagedFileError, UnreadableFileError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["LocalFile", "WaitingFile"]

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags for opening files: a path that has become a pipe meanwhile is not waited for."""

_ADVISES = READS_COMPILED and hasattr(os, "posix_fadvise")
"""Whether the system can be told which bytes will be read soon."""

_GAP_BYTES = 4096
"""Bytes between two ranges that are announced along with them."""

_SETTLED = 2 * 10**9
"""Nanoseconds after a change within which another one could leave the same modification time."""

_PROBES = 32
"""Bytes that are tried to tell whether a window is in the page cache: a microsecond each."""


class LocalFile:
    """A file that is opened when it is first read, in every process that reads it.

    Parameters
    ----------
    path
        The file. Its identity is noted now, and it is refused if that has changed when it is opened.
    source
        The user's file, if this one is a copy of it in the cache: messages name it.
    memory_map
        Whether compiled loops may copy from a map of the file rather than read it; see `MemoryMap`.

    Attributes
    ----------
    path
        The name of the file in messages.
    checks
        Whether `ready` looks at the ranges that it is given; see `CopiedFile`.
    """

    is_remote = False
    checks = False

    def __init__(self, path: str, source: str | None = None, *, memory_map: bool = False) -> None:
        self.path = path if source is None else source
        self._is_mapped = memory_map
        self._map: MemoryMap | None = None
        self._place = path
        self._identity = FileIdentity.from_status(_status(path))

    @property
    def place(self) -> str:
        """Where the file lies: the user's, or a copy of it in the cache."""
        return self._place

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._identity.size

    @property
    def identity(self) -> tuple[int, ...]:
        """Numbers that tell the file from any other, and from itself before a change of content; see `FileIdentity`."""
        return self._identity.content

    @property
    def address(self) -> str:
        """The absolute path of the user's file, without links."""
        return os.path.realpath(self.path)

    @property
    def is_settled(self) -> bool:
        """Whether a change of the file from now on would show in its time of change."""
        return time.time_ns() - self._identity.modified >= _SETTLED

    def ready(
        self,
        offsets: NDArray[np.int64],  # noqa: ARG002 all bytes are there
        sizes: NDArray[np.int64],  # noqa: ARG002 as above
    ) -> AbstractContextManager[int]:
        """Provide the descriptor of this process; see `ByteSource`."""
        return descriptors.opened(self)

    def opened(self) -> AbstractContextManager[int]:
        """Provide the descriptor of this process, which is not evicted while it is in use."""
        return descriptors.opened(self)

    def memory_map(self, descriptor: int) -> MemoryMap | None:
        """Return the map of the file, given its descriptor; None where none was asked for, or the system makes none."""
        if self._is_mapped and (self._map is None or self._map.is_full):
            try:
                self._map = MemoryMap(descriptor, self.size)
            except (OSError, ValueError):
                self._map, self._is_mapped = None, False
        return self._map

    def __getstate__(self) -> dict[str, object]:
        """Return its state without the map, which is of this process."""
        return {**self.__dict__, "_map": None}

    def stream(self) -> io.RawIOBase:
        """Return a stream over the file with a descriptor of its own, or raise if it is not the one that was opened."""
        return WaitingFile(self.open_now())

    def mapped(self) -> memoryview:
        """Return all bytes of the file, mapped for as long as they are used, or raise if it is not the one opened.

        A file that becomes shorter meanwhile ends the process: only for libraries that read no other way.
        """
        if self.size == 0:  # which cannot be mapped
            return memoryview(b"")
        descriptor = self.open_now()
        try:
            if hasattr(os, "posix_fadvise"):  # it is read from one end to the other
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_NORMAL)
            return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        except OSError as error:
            message = f"{self.path} cannot be mapped: {error}."
            raise DamagedFileError(message) from error
        finally:
            os.close(descriptor)

    def open_now(self) -> int:
        """Open the file and return the descriptor, or raise if it is not the one that was opened."""
        try:
            descriptor = os.open(self._place, _FLAGS)
        except OSError as error:
            raise self._not_opened(error) from error
        if not self._identity.is_unchanged(FileIdentity.from_status(os.fstat(descriptor))):
            os.close(descriptor)
            message = f"{self._called} was replaced or changed since it was opened; open it again."
            raise DamagedFileError(message)
        if hasattr(os, "posix_fadvise"):  # rows lie anywhere: bytes read along with them are not used
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        return descriptor

    def _not_opened(self, error: OSError) -> OSError:
        """Return the error to raise when the system does not open the file; itself to close others first."""
        if error.errno in descriptors.TOO_MANY:
            return error
        if isinstance(error, PermissionError):
            return UnreadableFileError(f"{self.path} cannot be read: {error.strerror}; ask its owner for permission.")
        return DamagedFileError(f"{self._called} has vanished since it was opened: {error}.")

    def accept_change(self) -> None:
        """Take the file as it is now for the one that was opened, after a change of our own.

        Raises
        ------
        DamagedFileError
            If it is another file.
        """
        self.close()
        now = FileIdentity.from_status(_status(self.path))
        if not self._identity.is_same_file(now):
            message = f"{self.path} was replaced while it was written to; open it again."
            raise DamagedFileError(message)
        self._identity = now

    def check(self) -> None:
        """Raise if the file under this path is no longer the one that was opened."""
        try:
            now = FileIdentity.from_status(os.stat(self._place))  # noqa: PTH116 half the time of Path.stat, at every read
        except OSError as error:
            message = f"{self._called} has vanished while it was read: {error}."
            raise DamagedFileError(message) from error
        if not self._identity.is_unchanged(now):
            message = f"{self._called} was replaced or changed while it was read; open it again."
            raise DamagedFileError(message)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset`` of the file that was opened, or fewer where it ends."""
        stored = self.read_unchecked(offset, size)
        self.check()
        return stored

    def read_unchecked(self, offset: int, size: int) -> bytes:
        """As `read`, without the check; the caller calls `check` once after many reads.

        Raises
        ------
        DamagedFileError
            If the system cannot read the file: a disk that fails, a network file that is stale.
        """
        with self.opened() as descriptor:
            try:
                stored = _read(descriptor, size, offset)
                while 0 < len(stored) < size:  # a read may return less than it was asked for, and nothing at the end
                    more = _read(descriptor, size - len(stored), offset + len(stored))
                    if not more:
                        break
                    stored += more
            except (OSError, OverflowError, ValueError) as error:
                message = f"{self.path} cannot be read at byte {offset}: {error}."
                raise DamagedFileError(message) from error
        return stored

    def read_many(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Return the bytes of each range, as `read_unchecked` does."""
        return [self.read_unchecked(offset, size) for offset, size in zip(offsets, sizes, strict=True)]

    def announce(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> int:
        """Tell the system that these bytes will be read soon, and return 1; 0 if it has them or takes no advice."""
        if not _ADVISES or self.is_in_memory(offsets):
            return 0
        order = np.argsort(offsets, kind="stable")
        with self.opened() as descriptor:
            advise_ranges(descriptor, offsets[order], sizes[order], _GAP_BYTES)
        return 1

    def is_in_memory(self, offsets: NDArray[np.int64]) -> bool:
        """Tell whether most of the bytes at these offsets can be read without waiting, where the system tells.

        A few are tried. A window that lacks little is read faster as it is than announced.
        """
        flag = getattr(os, "RWF_NOWAIT", None)
        if flag is None or offsets.size == 0 or not hasattr(os, "preadv"):
            return False
        tried = offsets[:: max(offsets.size // _PROBES, 1)]
        missing = 0
        with descriptors.opened(self) as descriptor:
            for offset in tried.tolist():
                try:
                    os.preadv(descriptor, [bytearray(1)], offset, flag)
                except BlockingIOError:
                    missing += 1
                except OSError:  # the file system cannot tell
                    return False
        return missing <= tried.size // 8

    @property
    def _called(self) -> str:
        return self.path if self.path == self._place else f"The copy of {self.path} in the cache"

    def close(self) -> None:
        """Close the descriptor of this process, and its map; the next read opens the file again."""
        self._map = None
        descriptors.close(self)

    def __del__(self, close: Callable[["LocalFile"], None] = descriptors.close) -> None:
        close(self)  # by a name of its own: as the interpreter ends, modules are emptied before objects go


class WaitingFile(io.FileIO):
    """A file whose bytes that are not there yet are an error; Python returns None for them, which readers take for any.

    Raises
    ------
    BlockingIOError
        By every read that the system answers so, as it may on a network's file system.
    """

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read some bytes."""
        n_read: int | None = super().readinto(buffer)
        if n_read is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return n_read


def _status(path: str) -> os.stat_result:
    """Return the status of a regular file; FileNotFoundError and NotADirectoryError where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 once a chunk, and Path is slow
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}."
        raise DamagedFileError(message) from error
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for whoever writes to it
        message = f"{path} is no regular file."
        raise DamagedFileError(message)
    return status


if hasattr(os, "pread"):

    def _read(descriptor: int, size: int, offset: int) -> bytes:
        return os.pread(descriptor, size, offset)

else:
    _SEEKING = threading.Lock()

    def _read(descriptor: int, size: int, offset: int) -> bytes:
        with _SEEKING:  # threads share the position in a file
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, size)
