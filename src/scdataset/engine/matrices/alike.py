"""Row-sparse matrices that are stored alike in many files, whose rows are read without work in Python for each file.

rows ──► one compiled loop over the row pointers of all files ──► one over the spans of a group of files
"""

import operator
from collections.abc import Callable, Sequence

import numba
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.engine.arrays.many_files import MANY, ManyReads, PlainArrays, is_joinable, tasks_of_many
from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.addresses import address_of, pointer
from scdataset.engine.matrices.csr import CsrMatrix, csr_of, room_for
from scdataset.engine.matrices.parts import Matrix, Split
from scdataset.engine.matrices.row_pointers import RowPointers, fill_spans
from scdataset.engine.matrices.select_many import SelectedColumns, columns_with_tables

__all__ = ["AlikeMatrices"]


class AlikeMatrices:
    """Row-sparse matrices of the same types, each plain bytes of another file.

    Parameters
    ----------
    matrices
        The matrices, of which `from_matrices` tells whether they are alike.
    """

    def __init__(self, matrices: Sequence[CsrMatrix]) -> None:
        self._matrices = matrices
        self._tables = _Tables([matrix.table for matrix in matrices])
        data = [matrix.data for matrix in matrices if is_joinable(matrix.data)]
        indices = [matrix.indices for matrix in matrices if is_joinable(matrix.indices)]
        self._data = PlainArrays(data, [ANY] * len(data))
        columns = [matrix.columns for matrix in matrices]
        self._selected: SelectedColumns | None = None
        if any(matrix.drops for matrix in matrices):
            columns = columns_with_tables(columns, matrices[0].shape[1])
            self._selected = SelectedColumns(self._data, PlainArrays(indices, columns))
        self._indices = PlainArrays(indices, columns)

    @classmethod
    def from_matrices(cls, matrices: Sequence[Matrix]) -> "AlikeMatrices | None":
        """Return the matrices as such, or None if they are few or not alike."""
        sparse = [matrix for matrix in matrices if isinstance(matrix, CsrMatrix) and _is_plain(matrix)]
        kinds = {(matrix.data.dtype, matrix.indices.dtype) for matrix in sparse}
        return cls(sparse) if MANY <= len(sparse) == len(matrices) and len(kinds) == 1 else None

    def read(self, split: Split, context: ReadContext, totals: NDArray[np.float64] | None) -> scipy.sparse.csr_matrix:
        """Return rows as CSR; ``totals`` as in `Matrix.read_parts`."""
        first, spans = self._matrices[0], self._tables.spans(split)
        if self._selected is None:
            rows = Spans(*spans, split.places)
            own, data, indices, indptr = room_for(rows, first.shape[1], first.dtype, context)
            where = split.numbers, own, split.bounds
            reads = [ManyReads(self._data, *where, data), ManyReads(self._indices, *where, indices)]
            context.threads.run(operator.call, tasks_of_many(reads, context.n_tasks))
            return csr_of(data, indices, indptr, first.shape[1], totals)
        selected = self._selected.read(split, *spans, context, totals)
        if selected is None:  # each by itself goes on after a signal, and names errors
            parts = split.parts(self._matrices)
            return CsrMatrix.read_parts(parts, first.shape[1], first.dtype, context, totals)
        return csr_of(*selected, first.shape[1])

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return AlikeMatrices.from_matrices, (self._matrices,)  # addresses are of this process


def _is_plain(matrix: CsrMatrix) -> bool:
    """Tell whether a matrix is plain bytes of one file."""
    data, indices, columns = matrix.data, matrix.indices, matrix.columns.table
    in_one_piece = all(array.flags.c_contiguous for array in (columns, *matrix.table.arrays))
    in_one_piece &= columns.dtype == np.int32
    return in_one_piece and is_joinable(data) and is_joinable(indices) and data.file is indices.file


class _Tables:
    """The row pointers of many matrices, found by their addresses."""

    def __init__(self, tables: Sequence[RowPointers]) -> None:
        self._tables = tables  # they own the memory
        self._types = {table.lengths.dtype for table in tables}
        self._where = np.array(
            [
                (table.lengths.itemsize, *(number for one in table.arrays for number in (address_of(one), one.size)))
                for table in tables
            ]
        )

    def spans(self, split: Split) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first element and the number of elements of each row, as `RowPointers.spans` does."""
        starts, lengths = np.empty(split.rows.size, np.int64), np.empty(split.rows.size, np.int64)
        where = self._where[split.numbers]
        for dtype in self._types:
            _fill_spans_of_many(where, split.bounds, split.rows, np.empty(0, dtype), starts, lengths)
        return starts, lengths


@compiled
def _fill_spans_of_many(
    tables: NDArray[np.int64],
    bounds: NDArray[np.int64],
    rows: NDArray[np.int64],
    like: Array,
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Do as `fill_spans` for one matrix after the other, of those whose lengths are of the type of ``like``.

    A row of ``tables`` has the size of that type, and address and size of each array of `RowPointers`.
    """
    for k in range(tables.shape[0]):
        table = tables[k]
        if table[0] != like.itemsize:
            continue
        own = slice(bounds[k], bounds[k + 1])
        fill_spans(
            rows[own],
            numba.carray(pointer(table[1]), (table[2],), like.dtype),
            numba.carray(pointer(table[3]), (table[4],), np.int64),
            numba.carray(pointer(table[5]), (table[6],), np.int64),
            numba.carray(pointer(table[7]), (table[8],), np.int64),
            starts[own],
            counts[own],
        )
