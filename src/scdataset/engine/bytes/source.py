"""The bytes of one version of a file or object, read by offset."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ByteSource"]


class ByteSource(Protocol):
    """The bytes of one version of an object, read by offset from any thread.

    It is pickled without its bytes, and read in a forked or started process as it is in the first.
    `scdataset.testing.byte_sources` has the tests that every one passes.
    """

    @property
    def path(self) -> str:
        """The object's name in messages."""
        ...

    @property
    def address(self) -> str:
        """Where the object lies, however it was named: an absolute path, or a URL."""
        ...

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    @property
    def identity(self) -> tuple[int | str, ...]:
        """Tells this version of the object from all others, and from all other objects."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether `identity` would tell any later version from this one; not so of a file that has just changed."""
        ...

    @property
    def checks(self) -> bool:
        """Whether `ready` looks at the ranges that it is given, so that they have to be worked out."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests, so that all that are read next are announced before the first is read."""
        ...

    def ready(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> AbstractContextManager[int | None]:
        """Give a descriptor for compiled loops, from which these bytes can be read; None where there is none.

        Raises
        ------
        DamagedFileError
            If some are not those that were written, where there are checksums, or cannot be fetched.
        """
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset``, or fewer where the object ends.

        Raises
        ------
        DamagedFileError
            If they cannot be read, or the object is no longer the version that was opened.
        """
        ...

    def read_unchecked(self, offset: int, size: int) -> bytes:
        """As `read`, without the check; the caller calls `check` once after many reads."""
        ...

    def read_many(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Return the bytes of each range, as `read_unchecked` does; ranges of remote objects are fetched together."""
        ...

    def is_in_memory(self, offsets: NDArray[np.int64]) -> bool:
        """Tell whether most bytes at these offsets can be read without waiting; False where that is not known."""
        ...

    def announce(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> int:
        """Say that these bytes will be read soon, and return the number of requests for them; 0 if all are there."""
        ...

    def stream(self) -> io.RawIOBase:
        """Return a stream over the object, to be closed by the caller."""
        ...

    def check(self) -> None:
        """Raise DamagedFileError if the object is no longer the version that was opened."""
        ...

    def close(self) -> None:
        """Release the descriptors and connections of this process; the next read reopens them."""
        ...
