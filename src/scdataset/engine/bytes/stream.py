"""The place in a stream, which is alike for streams over all sources."""

import io
import os

__all__ = ["Stream"]


class Stream(io.RawIOBase):
    """A stream over ``size`` bytes, which can be read from any of them on."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, perhaps beyond the end, and return its number."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the number of the byte that is read next."""
        return self._at
