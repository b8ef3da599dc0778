"""Open files, each process its own, watched for being replaced, and no more of them than a system allows."""

import errno
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.identity import FileIdentity
from scdataset.errors import DamagedFileError, UnreadableFileError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["OpenFile", "all_opened"]

_SHARE = 2
"""One in so many of the descriptors that a process may have is kept; the rest is for the user and for libraries."""

_UNLIMITED = 1 << 16
"""Descriptors that are kept where there is no limit."""

_UNKNOWN = 128
"""Descriptors that are kept where the limit cannot be asked for."""

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""How files are opened: what has become a pipe meanwhile is not waited for."""

_TOO_MANY = (errno.EMFILE, errno.ENFILE)
"""Errors of opening a file where too many are open."""

_PROBES = 32
"""Bytes that are tried to tell whether a window is in the page cache: a microsecond each."""


class OpenFile:
    """A file that is opened when it is first read, in every process that reads it.

    Parameters
    ----------
    path
        The file. Its identity is noted now, and it is refused if that has changed when it is opened.
    source
        The user's file, if this one is a copy of it in the cache: messages name it.

    Attributes
    ----------
    path
        The name of the file in messages.
    """

    def __init__(self, path: str, source: str | None = None) -> None:
        self.path = path if source is None else source
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
    def changed(self) -> int:
        """When the file was last changed, in nanoseconds."""
        return self._identity.modified

    @property
    def checks(self) -> bool:
        """Whether `check_bytes` has to be called for bytes that are read; see `CopiedFile`."""
        return False

    def check_bytes(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Raise if some of these bytes are not those that were written, where the file has checksums."""

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Give the descriptor of this process, which is not closed meanwhile for the sake of other files."""
        descriptor = _OPEN.take(self)
        try:
            yield descriptor
        finally:
            _OPEN.give_back(self)

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
        if hasattr(os, "posix_fadvise"):  # rows lie anywhere: what is read along with them is not read
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        return descriptor

    def _not_opened(self, error: OSError) -> OSError:
        """Return what to raise when the system does not open the file; itself where other files can be closed first."""
        if error.errno in _TOO_MANY:
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
        """As `read`, for whoever calls `check` once after many reads.

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

    def in_page_cache(self, offsets: NDArray[np.int64]) -> bool:
        """Tell whether most of the bytes at these offsets can be read without waiting, where the system tells.

        A few are tried. A window that lacks little is read faster as it is than announced.
        """
        flag = getattr(os, "RWF_NOWAIT", None)
        if flag is None or offsets.size == 0 or not hasattr(os, "preadv"):
            return False
        tried = offsets[:: max(offsets.size // _PROBES, 1)]
        missing = 0
        with self.opened() as descriptor:
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
        """Close the descriptor of this process; the next read opens it again."""
        _OPEN.close(self)

    def __del__(self) -> None:
        if _OPEN is not None:  # as the interpreter ends, modules go before objects
            _OPEN.close(self)


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


@contextmanager
def all_opened(files: Sequence[OpenFile]) -> Iterator[list[int]]:
    """Give the descriptors of several files, none of which is closed meanwhile for the sake of others."""
    descriptors: list[int] = []
    try:
        for file in files:
            descriptors.append(_OPEN.take(file))  # noqa: PERF401 those that were taken are given back after an error
        yield descriptors
    finally:
        for file in files[: len(descriptors)]:
            _OPEN.give_back(file)


def most_open() -> int:
    """Return how many descriptors a process keeps; the one used longest ago is closed for another."""
    if resource is None:
        return _UNKNOWN
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if allowed == resource.RLIM_INFINITY else allowed // _SHARE


@dataclass(slots=True)
class _Entry:
    """A descriptor, how many readers it has now, and whether it is to be closed when they have ended."""

    descriptor: int
    readers: int = 0
    closing: bool = False


class _Open:
    """The descriptors of this process, one a file, the one used longest ago first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a file may be collected, and closed, in the midst of this
        self._entries: OrderedDict[int, _Entry] = OrderedDict()  # by id of the file

    def take(self, file: OpenFile) -> int:
        with self._lock:
            entry = self._entries.get(id(file))
            if entry is None:
                self._make_room(most_open())
                entry = self._entries[id(file)] = _Entry(self._opened(file))
            self._entries.move_to_end(id(file))
            entry.readers += 1
            entry.closing = False
            return entry.descriptor

    def give_back(self, file: OpenFile) -> None:
        with self._lock:
            entry = self._entries.get(id(file))
            if entry is not None:
                entry.readers -= 1
                if entry.closing:
                    self.close(file)

    def close(self, file: OpenFile) -> None:
        with self._lock:
            entry = self._entries.get(id(file))
            if entry is None:
                return
            entry.closing = entry.readers > 0
            if not entry.closing:
                os.close(self._entries.pop(id(file)).descriptor)

    def _opened(self, file: OpenFile) -> int:
        """Open a file; where the user holds all other descriptors of the process, close those that are idle."""
        try:
            return file.open_now()
        except OSError as error:
            if error.errno not in _TOO_MANY:
                raise
            self._make_room(1)
            return file.open_now()

    def _make_room(self, most: int) -> None:
        """Close idle files, the one used longest ago first, until there are fewer than ``most``."""
        surplus = len(self._entries) + 1 - most
        if surplus > 0:
            idle = (key for key, entry in self._entries.items() if not entry.readers)
            for key in list(islice(idle, surplus)):
                os.close(self._entries.pop(key).descriptor)


_OPEN = _Open()


def _begin_anew() -> None:
    """Leave the parent's descriptors alone, and its lock, which another of its threads may have held."""
    global _OPEN  # noqa: PLW0603 each process has its own
    _OPEN = _Open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
