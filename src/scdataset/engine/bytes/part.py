"""A file that lies in another one as it is, such as a member of an archive without compression."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.bytes.stream import Stream

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["PartOfFile"]


class PartOfFile:
    """Consecutive bytes of a file as a file of their own.

    Parameters
    ----------
    whole
        The file.
    name
        The name of the part.
    start, size
        The first byte in the file, and the number of bytes; a part that reaches beyond the file ends with it.
    """

    is_settled = False
    checks = False

    def __init__(self, whole: ByteSource, name: str, start: int, size: int) -> None:
        self._whole = whole
        self._name = name
        self._start = min(max(start, 0), whole.size)
        self.size = min(max(size, 0), whole.size - self._start)

    @property
    def path(self) -> str:
        """The file, and the name of the part."""
        return f"{self._whole.path}/{self._name}"

    @property
    def address(self) -> str:
        """The address of the file, and the name of the part."""
        return f"{self._whole.address}/{self._name}"

    @property
    def identity(self) -> tuple[int | str, ...]:
        """The identity of the file, and the place of the part in it."""
        return *self._whole.identity, self._start, self.size

    @property
    def is_remote(self) -> bool:
        """Whether the file is remote."""
        return self._whole.is_remote

    def ready(
        self,
        offsets: NDArray[np.int64],  # noqa: ARG002 as in the protocol
        sizes: NDArray[np.int64],  # noqa: ARG002 as above
    ) -> AbstractContextManager[None]:
        """Give no descriptor: in that of the file, the bytes are at other places."""
        return nullcontext()

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset``, or fewer where the part ends."""
        return self._whole.read(*self._range(offset, size))

    def read_unchecked(self, offset: int, size: int) -> bytes:
        """As `read`, without the check; the caller calls `check` once after many reads."""
        return self._whole.read_unchecked(*self._range(offset, size))

    def read_many(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Return the bytes of each range, as `read_unchecked` does."""
        ranges = [self._range(offset, size) for offset, size in zip(offsets, sizes, strict=True)]
        return self._whole.read_many([start for start, _ in ranges], [size for _, size in ranges])

    def is_in_memory(self, offsets: NDArray[np.int64]) -> bool:
        """Tell whether most bytes at these offsets can be read without waiting; False where that is not known."""
        return self._whole.is_in_memory(offsets + self._start)

    def announce(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> int:
        """Say that these bytes will be read soon, and return the number of requests for them; 0 if all are there."""
        return self._whole.announce(offsets + self._start, sizes)

    def stream(self) -> io.RawIOBase:
        """Return a stream over the part, to be closed by the caller."""
        return _PartStream(self._whole.stream(), self._start, self.size)

    def check(self) -> None:
        """Raise DamagedFileError if the file is no longer the version that was opened."""
        self._whole.check()

    def close(self) -> None:
        """Release the descriptors of this process; the next read reopens them."""
        self._whole.close()

    def _range(self, offset: int, size: int) -> tuple[int, int]:
        """Return a range as one of the file."""
        inside = min(offset, self.size)
        return self._start + inside, min(size, self.size - inside)


class _PartStream(Stream):
    """A stream over consecutive bytes of another one, which it closes."""

    def __init__(self, whole: io.RawIOBase, start: int, size: int) -> None:
        super().__init__(size)
        self._whole = whole
        self._start = start

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """Read some bytes."""
        view = memoryview(buffer).cast("B")[: max(self._size - self._at, 0)]
        if not view:
            return 0
        self._whole.seek(self._start + self._at)
        n_read: int | None = self._whole.readinto(view)
        self._at += n_read or 0
        return n_read

    def close(self) -> None:
        """Close the other one."""
        self._whole.close()
        super().close()
