"""Matrices as JSON and numbers, and again as matrices once they are checked against the file."""

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.engine.arrays.chunk_index import ChunkIndex, ChunkTable
from scdataset.engine.arrays.chunked_arrays import ChunkedArray, array_at
from scdataset.engine.arrays.stored_arrays import PlainArray, StoredArray
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.parts import Matrix
from scdataset.engine.matrices.row_pointers import RowPointers

__all__ = ["CachedArrays", "packed_matrix", "unpacked_matrix"]

_ALIGNED = 8
"""Bytes that arrays begin at a multiple of."""


class CachedArrays:
    """Many small arrays of numbers in one, each known by its type, its first byte and its size.

    Parameters
    ----------
    stored
        The result of `joined`; empty to add arrays.
    """

    def __init__(self, stored: Array | None = None) -> None:
        self._stored = np.empty(0, np.uint8) if stored is None else stored.view(np.uint8)
        self._parts: list[bytes] = []
        self.n_bytes = 0

    def add(self, array: Array) -> list[object]:
        """Add an array, and return where it is."""
        where = [array.dtype.str, self.n_bytes, array.size]
        stored = array.tobytes()
        padded = stored + bytes(-len(stored) % _ALIGNED)
        self._parts.append(padded)
        self.n_bytes += len(padded)
        return where

    def __getitem__(self, where: list[Any]) -> Array:
        """Return an array, of which only one that lies within those stored is known."""
        dtype, first, size = np.dtype(str(where[0])), int(where[1]), int(where[2])
        last = first + dtype.itemsize * size
        if dtype.kind not in "iufb" or first < 0 or first % _ALIGNED or size < 0 or last > self._stored.size:
            message = f"there is no array {where} in {counted(self._stored.size, 'byte')}"
            raise ValueError(message)
        return self._stored[first:last].view(dtype)

    def joined(self) -> NDArray[np.uint8]:
        """Return all that were added."""
        return np.frombuffer(b"".join(self._parts), np.uint8)


def packed_matrix(matrix: Matrix, arrays: CachedArrays) -> list[object] | None:
    """Return a matrix as JSON; None if it is not one of the engine's own, or a library has to read it."""
    if isinstance(matrix, CsrMatrix) and matrix.remapping is None:
        parts = [_packed(array, arrays) for array in (matrix.data, matrix.indices)]
        n_elements = matrix.table.n_elements
        last = [n_elements, [arrays.add(array) for array in matrix.table.arrays]]
    elif isinstance(matrix, DenseMatrix):
        parts, last = [_packed(strip, arrays) for strip in matrix.strips], [matrix.width]
    else:
        return None
    return None if None in parts else [matrix.kind, matrix.shape, parts, *last]


def unpacked_matrix(file: ByteSource, packed: Any, arrays: CachedArrays) -> Matrix:
    """Return the matrix of a file that `packed_matrix` made this of.

    Raises
    ------
    ValueError
        If it contradicts itself or the file.
    """
    kind, (n_rows, n_columns), parts, number, *rest = packed
    shape = (int(n_rows), int(n_columns))
    if kind == "CSR":
        table = RowPointers.from_arrays([arrays[where] for where in rest[0]], shape[0], number)
        data, indices = (_array(file, part, number, arrays) for part in parts)
        if table is not None and indices.dtype.kind in "iu":
            return CsrMatrix(shape, data, indices, table)
    elif kind == "dense" and len(parts) == max(-(-shape[1] // number), 1):
        return DenseMatrix(shape, tuple(_array(file, part, shape[0] * number, arrays) for part in parts), number)
    message = f"{file.path} was cached as {kind} of shape {shape}, and with other rows or parts."
    raise ValueError(message)


def _packed(array: StoredArray, arrays: CachedArrays) -> list[object] | None:
    place = array.place if isinstance(array, (PlainArray, ChunkedArray)) else None
    if place is None:
        return None
    name, index = place
    table = cast("ChunkTable", index.table)
    tables = [table.offsets] if index.plain else table.arrays
    fill = np.asarray(index.fill, index.dtype).reshape(1)
    return [
        name,
        index.dtype.str,
        index.chunk[0],
        index.filters,
        arrays.add(fill),
        [arrays.add(array) for array in tables],
    ]


def _array(file: ByteSource, packed: Any, n_elements: int, arrays: CachedArrays) -> StoredArray:
    name, stored, length, filters, fill, tables = packed
    dtype = np.dtype(str(stored))
    offsets, *rest = (arrays[where] for where in tables)
    if not rest:
        rest = [np.full(offsets.size, length * dtype.itemsize), np.zeros(offsets.size, np.uint32)]
    table = ChunkTable.from_arrays([offsets, *rest], offsets.size)
    named = tuple((str(filter_name), tuple(options)) for filter_name, options in filters)
    plain_bytes = None if named else length * dtype.itemsize
    lacking = not isinstance(length, int) or length < 1 or offsets.size < math.ceil(n_elements / length)
    if lacking or dtype.kind not in "iufb" or table is None or table.misplaced(file.size, plain_bytes) is not None:
        message = f"{file.path}: {name} was cached with chunks that do not lie in it."
        raise ValueError(message)
    return array_at(file, name, ChunkIndex((n_elements,), dtype, (length,), table, named, arrays[fill][0]))
