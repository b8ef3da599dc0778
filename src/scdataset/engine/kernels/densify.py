"""Rows of a CSR matrix as a dense array, which is mostly zeros.

    positions  ....3....|.1.......|....7..5.|         entries in the order of the output, row after row
    tile       |0 0 0 0 3 0 0 0 0|                    zeros in the cache, and the entries that fall into it
    output     ══════════════════►                    the tile, stored past the cache; then its entries are zero again

An output that fits the cache is set to zero and filled in place, in any order of columns.
"""

import numpy as np

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.engine.kernels.nontemporal import STEP, copy_nontemporal
from scdataset.engine.threads import Threads

__all__ = ["fill_dense"]

_BITS = {size: np.dtype(f"u{size}") for size in (2, 4, 8)}
"""Unsigned type by its bytes: one loop is compiled for all types of a size."""

_BEYOND_CACHE = 1 << 24
"""Bytes of an output that is too large to be found in the cache when it is used; below, filling in place takes two
thirds of the time, and whoever reads the output does not wait for memory."""

_TILE = 1 << 14
"""Bytes of a tile: half of the smallest first-level cache."""

_PART_BYTES = 1 << 24
"""Bytes of output for each thread: less is not worth its start."""


def fill_dense(indptr: Array, columns: Array, values: Array, out: Array, threads: Threads) -> bool:
    """Write the rows of a CSR matrix to a dense array.

    Parameters
    ----------
    indptr, columns, values
        The matrix, shapes ``(n_rows + 1,)``, ``(n_values,)`` and ``(n_values,)``.
    out
        Where they go, shape ``(n_rows, n_columns)``, C-contiguous, its bytes of any content, of the dtype of
        ``values``.
    threads
        Threads that share the rows.

    Returns
    -------
    Whether columns are in bounds, each at most once in a row; if not, ``out`` is to be filled in another way.
    """
    n_rows, width = out.shape
    bits = _BITS[out.itemsize]
    flat, entries = out.reshape(-1).view(bits), values.view(bits)
    fills = (_stream, _scatter) if out.nbytes > _BEYOND_CACHE else (_scatter,)

    def fill_rows(first: int, last: int) -> bool:
        return any(fill(first, last, indptr, columns, entries, width, flat) for fill in fills)

    n_parts = out.nbytes // _PART_BYTES
    if n_parts < 2:
        return fill_rows(0, n_rows)
    n_parts = min(threads.count, n_parts)
    bounds = [n_rows * part // n_parts for part in range(n_parts + 1)]
    is_sound = np.ones(n_parts, np.bool_)

    def work(part: int) -> None:
        is_sound[part] = fill_rows(bounds[part], bounds[part + 1])

    threads.run(work, [(part,) for part in range(n_parts)])
    return bool(is_sound.all())


@compiled
def _scatter(
    first: int,
    last: int,
    indptr: Array,
    columns: Array,
    values: Array,
    width: int,
    out: Array,
) -> bool:
    """Set rows [first, last) of ``out`` to zero and fill them, unless a column is out of bounds or comes twice."""
    for row in range(first, last):
        start = row * width
        out[start : start + width] = 0
        for k in range(indptr[row], indptr[row + 1]):
            column = np.int64(columns[k])
            if column < 0 or column >= width or out[start + column] != 0:
                return False
            out[start + column] = values[k]
    return True


@compiled
def _stream(
    first: int,
    last: int,
    indptr: Array,
    columns: Array,
    values: Array,
    width: int,
    out: Array,
) -> bool:
    """Store rows [first, last) past the cache, tile by tile, unless columns are out of bounds or do not ascend."""
    size = _TILE // out.itemsize
    memory = np.zeros(size + STEP // out.itemsize, out.dtype)
    skipped = (-memory.ctypes.data % STEP) // out.itemsize
    tile = memory[skipped : skipped + size]
    start = first * width
    stop = last * width
    to_aligned = (-(out.ctypes.data + start * out.itemsize) % STEP) // out.itemsize
    end = min(stop, start + to_aligned)
    if end == start:
        end = min(stop, start + size)
    k = np.int64(indptr[first])
    row = first
    previous = np.int64(-1)
    while start < stop:
        begun = k
        begun_row = row
        while row < last:
            if k == indptr[row + 1]:
                row += 1
                previous = np.int64(-1)
                continue
            column = np.int64(columns[k])
            if column <= previous or column >= width:
                return False
            position = row * width + column
            if position >= end:
                break
            tile[position - start] = values[k]
            previous = column
            k += 1
        _store(tile, out, start, end)
        while begun < k:
            while begun == indptr[begun_row + 1]:
                begun_row += 1
            tile[begun_row * width + np.int64(columns[begun]) - start] = 0
            begun += 1
        start = end
        end = min(stop, start + size)
    return True


@compiled
def _store(tile: Array, out: Array, start: int, end: int) -> None:
    """Copy the tile to ``out[start:end]``, past the cache where it is aligned and whole steps are left."""
    item = out.itemsize
    target = out.ctypes.data + start * item
    origin = tile.ctypes.data
    done = 0
    if target % STEP == 0:
        n_bytes = (end - start) * item
        while n_bytes - done >= STEP:
            copy_nontemporal(target + done, origin + done)
            done += STEP
    for i in range(done // item, end - start):
        out[start + i] = tile[i]
