"""Memory that a loop takes, from the size of its windows."""

import math
from dataclasses import dataclass

import numpy as np

from scdataset.collections.base import Collection
from scdataset.collections.memory import InMemory
from scdataset.engine.buffers import is_reused
from scdataset.engine.threads import Threads
from scdataset.experimental._memory import size_of

__all__ = ["WindowSizes", "peak_memory", "row_bytes"]

_SAMPLE = 16
"""Rows in memory that are looked at."""

_HUGE_PAGE = 1 << 21
"""Bytes: each of the two arrays of a window ends within such a page, half of which it has no use for on average."""

_FIXED = 1 << 20
"""Bytes that threads and batches take up besides."""

_DECODING = 3
"""Memory of a thread that decodes, in chunks: as stored, decoded, and once more where bytes are put in order."""


@dataclass(frozen=True, slots=True)
class WindowSizes:
    """Windows of an epoch in one process.

    Attributes
    ----------
    n_whole
        Whole windows.
    whole_bytes
        Of the largest of them.
    last_bytes
        Of the window with the batches that are left; 0 if there are none.
    is_pooled
        Whether their memory is retained for later windows.
    """

    n_whole: int
    whole_bytes: int
    last_bytes: int
    is_pooled: bool

    @classmethod
    def from_batches(
        cls, n_batches: int, fetch_factor: int, whole_bytes: int, batch_bytes: float, *, is_pooled: bool
    ) -> "WindowSizes":
        """Return the windows of some batches."""
        n_whole, rest = divmod(n_batches, fetch_factor)
        return cls(n_whole, whole_bytes, min(round(rest * batch_bytes), whole_bytes), is_pooled)

    def held(self, n: int) -> int:
        """Return the most bytes in memory, if ``n`` windows are in use together.

        A last window that is too small for the memory of those before comes on top: they wait for the next epoch.
        """
        in_use = min(self.n_whole, n) * _occupied(self.whole_bytes)
        takes_over = self.n_whole >= n and (not self.is_pooled or is_reused(self.whole_bytes, self.last_bytes))
        return in_use if takes_over or not n else in_use + _occupied(self.last_bytes)


def peak_memory(held: int, windows: WindowSizes, largest_chunk: int) -> int:
    """Return the most bytes that are in use together.

    Parameters
    ----------
    held
        Windows in memory together.
    windows
        Their sizes.
    largest_chunk
        Decoded bytes of the largest chunk; 0 where nothing is decoded.
    """
    return windows.held(held) + Threads().count * _DECODING * largest_chunk + _FIXED


def _occupied(window_bytes: int) -> int:
    return window_bytes + (_HUGE_PAGE if window_bytes > 2 * _HUGE_PAGE else 0)


def row_bytes(source: object, collection: Collection) -> float | None:
    """Return the memory of a row, in bytes, of data in memory or of arrays of known type; None for any other.

    Rows on a disk are not read for it.
    """
    dtype, shape = getattr(source, "dtype", None), getattr(source, "shape", None)
    item = getattr(dtype, "itemsize", None)
    if isinstance(item, int) and isinstance(shape, tuple) and not hasattr(source, "nnz") and not _of_objects(dtype):
        return float(item * math.prod(shape[1:]))
    if not isinstance(collection, InMemory) or not len(collection):
        return None
    rows = np.unique(np.linspace(0, len(collection) - 1, _SAMPLE).astype(np.int64))
    return size_of(collection.read(rows)) / rows.size


def _of_objects(dtype: object) -> bool:
    return bool(getattr(dtype, "hasobject", False))
