"""Memory that a loop takes, from the size of its windows."""

import math
from typing import Any

import numpy as np

from scdataset.collections.base import Collection
from scdataset.collections.memory import InMemory
from scdataset.engine.threads import Threads
from scdataset.experimental._memory import size_of

__all__ = ["peak_memory", "row_bytes"]

_SAMPLE = 16
"""Rows in memory that are looked at."""

_HUGE_PAGE = 1 << 21
"""Bytes: each of the two arrays of a window ends within such a page, half of which it has no use for on average."""

_FIXED = 1 << 20
"""Bytes that threads and batches take up besides."""

_DECODING = 3
"""Memory of a thread that decodes, in chunks: as stored, decoded, and once more where bytes are put in order."""


def peak_memory(windows: int, window_bytes: int, largest_chunk: int) -> int:
    """Return the most bytes that are in use together.

    Parameters
    ----------
    windows
        Windows in memory together.
    window_bytes
        Of the largest of them.
    largest_chunk
        Decoded bytes of the largest chunk; 0 where nothing is decoded.
    """
    rounding = _HUGE_PAGE if window_bytes > 2 * _HUGE_PAGE else 0
    return windows * (window_bytes + rounding) + Threads().count * _DECODING * largest_chunk + _FIXED


def row_bytes(source: Any, collection: Collection) -> float | None:
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


def _of_objects(dtype: Any) -> bool:
    return bool(getattr(dtype, "hasobject", False))
