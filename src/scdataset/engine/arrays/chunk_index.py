"""The chunk index of an array: where its elements lie in a file, and how they are encoded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array, DType
from scdataset.engine.codecs.decoding import FilterOption

__all__ = ["NOT_STORED", "ChunkIndex", "ChunkTable", "overlapping"]

NOT_STORED = -1
"""Offset of a chunk that was never written: its elements have the fill value."""


def overlapping(offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return two chunks, as numbered, that have bytes in common, or None; all have to lie within a file.

    Parameters
    ----------
    offsets, sizes
        As in `ChunkTable`.
    """
    stored = np.flatnonzero(offsets != NOT_STORED)
    order = stored[np.argsort(offsets[stored], kind="stable")]  # they mostly ascend already, which this is fast for
    common = offsets[order[:-1]] + sizes[order[:-1]] > offsets[order[1:]]
    if not common.any():
        return None
    at = int(np.argmax(common))
    return int(order[at]), int(order[at + 1])


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """Where each chunk of an array is stored, in the order of the chunk grid (last axis fastest).

    Attributes
    ----------
    offsets
        First byte of each chunk in the file, shape ``(n_chunks,)``, int64; ``NOT_STORED`` for chunks never written.
    sizes
        Stored bytes of each chunk, shape ``(n_chunks,)``, int64.
    skipped
        Bit i says that filter i was not applied to the chunk, shape ``(n_chunks,)``, uint32.
    """

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    skipped: NDArray[np.uint32]

    @classmethod
    def from_arrays(cls, arrays: Sequence[Array], n_chunks: int) -> "ChunkTable | None":
        """Return the table of three arrays, or None if they are not of the types and shapes of one."""
        wanted = [np.dtype(np.int64), np.dtype(np.int64), np.dtype(np.uint32)]
        if [array.dtype for array in arrays] != wanted or any(array.shape != (n_chunks,) for array in arrays):
            return None
        return cls(*arrays)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays that `from_arrays` takes."""
        return self.offsets, self.sizes, self.skipped

    def misplaced(self, file_bytes: int, plain_bytes: int | None) -> int | None:
        """Return the first chunk that does not lie within ``file_bytes``, or None.

        A chunk of plain bytes has to have ``plain_bytes``.
        """
        wrong = (self.offsets < 0) | (self.sizes < 0) | (self.sizes > file_bytes - self.offsets)
        if plain_bytes is not None:
            wrong |= self.sizes != plain_bytes
        wrong &= self.offsets != NOT_STORED
        return int(np.argmax(wrong)) if wrong.any() else None

    def strip(self, number: int, n_strips: int) -> "ChunkTable":
        """Return one column of a grid of ``n_strips`` columns."""
        every = slice(number, None, n_strips)
        offsets, sizes, skipped = self.offsets[every], self.sizes[every], self.skipped[every]
        return ChunkTable(*map(np.ascontiguousarray, (offsets, sizes, skipped)))


@dataclass(frozen=True, slots=True)
class ChunkIndex:
    """The index of one array in a file: its type, its chunks, and how they are encoded.

    Attributes
    ----------
    shape, dtype
        Of the array; the dtype as it is stored, byte order included.
    chunk
        Shape of a chunk; of the whole array where it is stored in one piece.
    table
        Where the chunks are, or None where only the library that wrote it can tell.
    filters
        Names and options of the filters that encode a chunk, first applied first; empty for plain bytes. In HDF5, the
        options are the numbers that the file has of a filter.
    fill
        Value of elements that were never written.
    """

    shape: tuple[int, ...]
    dtype: DType
    chunk: tuple[int, ...]
    table: ChunkTable | None
    filters: tuple[tuple[str, FilterOption], ...] = ()
    fill: object = 0

    @property
    def plain(self) -> bool:
        """Whether bytes in the file are elements in memory, in order, so that parts of chunks can be read."""
        if self.table is None or self.filters or not self.dtype.isnative:
            return False
        return bool(np.all(self.table.offsets != NOT_STORED))
