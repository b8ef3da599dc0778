"""zarr: where the bytes of a key lie, and those of the chunks in a shard.

Shards: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset.engine.arrays.chunk_index import NOT_STORED, overlapping
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.codecs.decoding import decode
from scdataset.engine.containers.zarr_metadata import ZarrArray
from scdataset.engine.observer import READ, observed
from scdataset.errors import DamagedFileError

__all__ = ["Shard", "Stored", "index_range"]


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes of a key or chunk: ``size`` of them from ``offset`` in ``file``.

    Attributes
    ----------
    checksum
        CRC-32 of all of them, where a zip file has it of a member; None elsewhere.
    """

    file: ByteSource
    offset: int
    size: int
    checksum: int | None = None

    def read(self) -> bytes:
        """Return the bytes, or fewer where the file ends.

        Raises
        ------
        DamagedFileError
            If they do not have the checksum, or the file was replaced.
        """
        content = self.read_unchecked()
        if not self.file.is_remote:  # requests for objects demand their version
            self.file.check()
        return content

    def read_unchecked(self) -> bytes:
        """As `read`, without the check; the caller checks the file once after many reads."""
        with observed(READ, requests=1, bytes=self.size):
            content = self.file.read_unchecked(self.offset, self.size)
        if self.checksum is not None and len(content) == self.size and zlib.crc32(content) != self.checksum:
            message = (
                f"{self.file.path}: the {counted(self.size, 'byte')} at {self.offset} do not have the CRC-32 of their "
                "entry."
            )
            raise DamagedFileError(message)
        return content


def index_range(stored: Stored, array: ZarrArray) -> tuple[int, int]:
    """Return first byte and size of the index of a shard."""
    index = array.index
    assert index is not None  # noqa: S101 for the type checker
    size = int(np.prod(array.per_shard)) * 16 + 4 * index.checked
    return stored.offset + (max(stored.size - size, 0) if index.at_end else 0), size


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard and the chunks in it: ``offsets`` in its file, or ``NOT_STORED``, and ``sizes`` in bytes."""

    file: ByteSource
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def chunk(self, number: int) -> Stored | None:
        """Return where a chunk is."""
        offset = int(self.offsets[number])
        if offset == NOT_STORED:
            return None
        return Stored(self.file, offset, int(self.sizes[number]))

    @classmethod
    def at(cls, stored: Stored, array: ZarrArray) -> "Shard":
        """Read the index of a shard.

        Raises
        ------
        DamagedFileError
            If it has chunks outside the shard, or two in the same bytes.
        """
        index = array.index
        assert index is not None  # noqa: S101 for the type checker
        offset, size = index_range(stored, array)
        n_bytes = size - 4 * index.checked
        if stored.size < size:
            message = f"takes {counted(size, 'byte')} and the shard has {stored.size:,}; it is truncated"
            raise DamagedFileError(message)
        checks = (("crc32c", None),) if index.checked else ()
        with observed(READ, requests=1, bytes=size):
            content = stored.file.read(offset, size)
        table = decode(content, checks, 0, index.dtype, n_bytes).astype(np.uint64).reshape(-1, 2)
        offsets, sizes = table[:, 0], table[:, 1]
        missing = np.all(table == np.iinfo(np.uint64).max, axis=1)
        least, most = (0, stored.size - size) if index.at_end else (size, stored.size)
        inside = (offsets >= least) & (offsets <= most) & (sizes <= most) & (offsets + sizes <= most)
        if not np.all(missing | inside):
            chunk = int(np.argmin(missing | inside))
            message = f"has its chunk {chunk} outside bytes {least} to {most} of the shard; it is truncated or damaged"
            raise DamagedFileError(message)
        places = np.where(missing, NOT_STORED, offsets.astype(np.int64) + stored.offset)
        pair = overlapping(places, sizes.astype(np.int64))
        if pair is not None:
            message = f"has its chunks {pair[0]} and {pair[1]} in the same bytes; it is damaged"
            raise DamagedFileError(message)
        return cls(stored.file, places, sizes.astype(np.int64))
