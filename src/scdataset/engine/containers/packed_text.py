"""Text, gzipped or not, unpacked as far as it can be true.

A megabyte of gzip can hold a gigabyte: more text than was asked for is damage, and is not unpacked.
"""

import errno
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from scdataset.engine.bytes.local import LocalFile
from scdataset.errors import DamagedFileError

try:
    from isal.igzip import GzipFile
    from isal.isal_zlib import error as _IsalError  # noqa: N812 a class
except ImportError:  # a platform it is not built for: slower, and equal
    from gzip import GzipFile  # type: ignore[assignment]
    from zlib import error as _IsalError  # type: ignore[assignment]  # noqa: N812

__all__ = ["UNREADABLE", "Limited", "WaitingFile", "packed_text"]

UNREADABLE: tuple[Any, ...] = (OSError, EOFError, ValueError, zlib.error, _IsalError)
"""Errors of reading and unpacking damaged text."""

_FREE = 1 << 26
"""Bytes that any text may have."""

_RATIO = 100
"""How many times as long as the file its text may be: names and counts of cells are 3 to 20 times as long."""


@contextmanager
def packed_text(path: str) -> Iterator[tuple[IO[bytes], Any]]:
    """Open a file, and the text in it.

    Raises
    ------
    DamagedFileError
        If it is no regular file, such as a pipe.
    """
    kind: Any = GzipFile
    LocalFile(path)  # refuses a pipe, whose opening would wait for a writer
    with io.BufferedReader(WaitingFile(path)) as stored:
        packed = stored.read(2) == b"\x1f\x8b"
        stored.seek(0)
        yield stored, kind(fileobj=stored, mode="rb") if packed else stored


class WaitingFile(io.FileIO):
    """A file whose bytes that are not there yet are an error; Python returns None for them, which readers take for any.

    Raises
    ------
    BlockingIOError
        By every read that the system answers so, as it may on a network's file system.
    """

    def readinto(self, buffer: Any) -> int:
        """Read some bytes."""
        n_read = super().readinto(buffer)
        if n_read is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return n_read


class Limited(io.RawIOBase):
    """Text that is refused beyond a number of bytes.

    Parameters
    ----------
    path, text
        The file, for messages, and its text.
    n_bytes, reason
        The number, unless a hundred times the bytes of the file are fewer, and its reason, for messages.
    """

    def __init__(self, path: str, text: Any, n_bytes: int, reason: str) -> None:
        self._path = path
        self._text = text
        self._limit = min(n_bytes, _FREE + _RATIO * Path(path).stat().st_size)
        self._left = self._limit
        self._reason = reason

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes.

        Raises
        ------
        DamagedFileError
            If there are more than there may be.
        """
        n_read: int = self._text.readinto(buffer)
        self._left -= n_read
        if self._left < 0:
            message = f"{self._path} holds more than {self._limit} bytes of text, {self._reason}; it is damaged."
            raise DamagedFileError(message)
        return n_read
