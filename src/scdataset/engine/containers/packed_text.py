"""Text, gzipped or not, unpacked as far as it can be true.

A megabyte of gzip can hold a gigabyte: more text than was asked for is damage, and is not unpacked.
"""

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from scdataset._tables import counted
from scdataset.engine.bytes.opening import buffered
from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import DamagedFileError

try:
    from isal.igzip import GzipFile
    from isal.isal_zlib import error as _IsalError  # noqa: N812 a class
except ImportError:  # a platform it is not built for: slower, and equal
    from gzip import GzipFile  # type: ignore[assignment]
    from zlib import error as _IsalError  # type: ignore[assignment]  # noqa: N812

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["UNREADABLE", "Limited", "packed_text"]

UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, zlib.error),
    cast("type[Exception]", _IsalError),
)
"""Errors of reading and unpacking damaged text."""

_FREE = 1 << 26
"""Bytes that any text may have."""

_RATIO = 100
"""How many times as long as the file its text may be: names and counts of cells are 3 to 20 times as long."""


@contextmanager
def packed_text(source: ByteSource) -> Iterator[tuple[io.BufferedReader, IO[bytes]]]:
    """Open a file, and the text in it."""
    with buffered(source) as stored:
        packed = stored.read(2) == b"\x1f\x8b"
        stored.seek(0)
        unpacked = cast("Callable[..., IO[bytes]]", GzipFile)
        yield stored, unpacked(fileobj=stored, mode="rb") if packed else stored


class Limited(io.RawIOBase):
    """Text that is refused beyond a number of bytes.

    Parameters
    ----------
    source, text
        The file and its text.
    n_bytes, reason
        The number, unless a hundred times the bytes of the file are fewer, and its reason, for messages.
    """

    def __init__(self, source: ByteSource, text: IO[bytes], n_bytes: int, reason: str) -> None:
        self._path = source.path
        self._text = cast("io.BufferedIOBase", text)
        self._limit = min(n_bytes, _FREE + _RATIO * source.size)
        self._left = self._limit
        self._reason = reason

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read some bytes.

        Raises
        ------
        DamagedFileError
            If there are more than there may be.
        """
        n_read = self._text.readinto(buffer)
        self._left -= n_read
        if self._left < 0:
            message = (
                f"{self._path} holds more than {counted(self._limit, 'byte')} of text, {self._reason}; it is damaged."
            )
            raise DamagedFileError(message)
        return n_read
