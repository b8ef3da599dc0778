"""Rows of stored row-sparse matrices, as CSR in their final order.

rows ──► parts: the rows of each matrix, and their places ──► tasks for all threads ──► one array
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._properties import cached_property
from scdataset._types import Array, DType
from scdataset.engine.arrays.half_floats import SingleFloats
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.arrays.reads import Read, run_reads
from scdataset.engine.arrays.spans import ANY, Columns, Spans
from scdataset.engine.arrays.stored_arrays import StoredArray
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.totals import row_totals
from scdataset.engine.matrices.parts import Part
from scdataset.engine.matrices.remapped import remapped_of
from scdataset.engine.matrices.row_pointers import RowPointers
from scdataset.engine.matrices.select import ReadSpec, read_selected

__all__ = ["CsrMatrix", "csr_of", "room_for"]

_INT32_MAX = np.iinfo(np.int32).max

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class CsrMatrix:
    """A row-sparse matrix: three stored arrays, as AnnData and 10x write them.

    Attributes
    ----------
    shape
        Of the matrix.
    data, indices
        Values and their column numbers.
    table
        Where rows begin.
    remapping
        The new number of each stored column, if they are not the columns of the matrix: shape ``(n_stored,)``, int32,
        -1 for those that are left out.
    """

    shape: tuple[int, int]
    data: StoredArray
    indices: StoredArray
    table: RowPointers
    remapping: NDArray[np.int32] | None = None
    kind = "CSR"

    def __post_init__(self) -> None:
        if self.data.dtype == np.float16:
            object.__setattr__(self, "data", SingleFloats(self.data))

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        return self.data.dtype

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        return self.data.is_remote

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> scipy.sparse.csr_matrix:
        """Return rows as CSR, shape ``(len(rows), n_columns)``, columns in the order in which they are stored."""
        return self.read_parts(Part.whole(self, rows), self.shape[1], self.dtype, context)

    @classmethod
    def read_parts(
        cls,
        parts: Sequence["Part[CsrMatrix]"],
        n_columns: int,
        dtype: DType,
        context: ReadContext,
        totals: NDArray[np.float64] | None = None,
    ) -> scipy.sparse.csr_matrix:
        """Return rows of several matrices as one CSR; see `Matrix.read_parts`."""
        starts, lengths, places, bounds, drops = [_NONE], [_NONE], [_NONE], [0], False
        for part in parts:
            begins, sizes = part.matrix.table.spans(part.rows)
            starts.append(begins)
            lengths.append(sizes)
            places.append(part.places)
            bounds.append(bounds[-1] + part.rows.size)
            drops = drops or part.matrix.drops
        if drops:
            where = zip(parts, starts[1:], lengths[1:], strict=True)
            specs = [part.matrix.read_spec(begins, sizes, part.places) for part, begins, sizes in where]
            return csr_of(*read_selected(specs, dtype, context, totals), n_columns)

        rows = Spans(np.concatenate(starts), np.concatenate(lengths), np.concatenate(places))
        spans, data, indices, indptr = room_for(rows, n_columns, dtype, context)
        reads = []
        for k, part in enumerate(parts):
            own = spans.part(bounds[k], bounds[k + 1])
            reads.append(Read(part.matrix.data, own, data))
            reads.append(Read(part.matrix.indices, own, indices, part.matrix.columns))
        run_reads(reads, context)
        return csr_of(data, indices, indptr, n_columns, totals)

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows, ascending, will be read soon."""
        starts, lengths = self.table.spans(rows)
        spans = Spans(starts, lengths, starts)
        return self.data.announce(spans) + self.indices.announce(spans)

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading these rows, ascending; columns that are left out count as made."""
        starts, lengths = self.table.spans(rows)
        spans, n_elements = Spans(starts, lengths, starts), int(lengths.sum())
        index_bytes = 4 if max(n_elements, self.shape[1]) <= _INT32_MAX else 8
        made = n_elements * (self.dtype.itemsize + index_bytes) + (rows.size + 1) * index_bytes
        return self.data.read_cost(spans) + self.indices.read_cost(spans) + ReadCost(result_bytes=made)

    def close(self) -> None:
        """Close all files."""
        self.data.close()
        self.indices.close()

    def remap(self, remapping: NDArray[np.int32], n_columns: int) -> Self:
        """Return the matrix with ``n_columns`` other columns; see ``remapping``."""
        return replace(self, shape=(self.shape[0], n_columns), remapping=remapped_of(self.remapping, remapping))

    @cached_property
    def drops(self) -> bool:
        """Whether columns are left out."""
        return self.remapping is not None and bool(np.any(self.remapping < 0))

    @cached_property
    def columns(self) -> Columns:
        """Bounds of column numbers, and their new numbers.

        As unsigned numbers, negative ones begin at half their range: out of range, whatever the number of columns.
        """
        n_stored = self.shape[1] if self.remapping is None else self.remapping.size
        table = ANY.table if self.remapping is None else self.remapping
        return Columns(min(n_stored, np.iinfo(self.indices.dtype).max + 1), table)

    def read_spec(self, starts: NDArray[np.int64], lengths: NDArray[np.int64], places: NDArray[np.int64]) -> ReadSpec:
        """Return rows without the columns that are left out."""
        columns = self.columns
        if not columns.table.size:
            columns = Columns(columns.limit, np.arange(self.shape[1], dtype=np.int32))
        return ReadSpec(self.data, self.indices, columns, starts, lengths, places)


def room_for(
    rows: Spans, n_columns: int, dtype: DType, context: ReadContext
) -> tuple[Spans, Array, Array, NDArray[np.int64]]:
    """Return memory for whole rows as CSR.

    Parameters
    ----------
    rows
        Where rows are stored, and which rows of the result they are.
    n_columns, dtype, context
        As in `Matrix.read_parts`.

    Returns
    -------
    spans
        Where the elements of rows are stored, and where they go.
    data, indices
        Memory for the values and the column numbers of the result.
    indptr
        The row pointer of the result.
    """
    indptr = np.zeros(rows.places.size + 1, np.int64)
    indptr[1:][rows.places] = rows.lengths
    np.cumsum(indptr, out=indptr)
    index_type = np.int32 if max(indptr[-1], n_columns) <= _INT32_MAX else np.int64
    empty, size = context.buffers.empty, int(indptr[-1])
    data, indices = empty(size, dtype), empty(size, index_type)
    return Spans(rows.starts, rows.lengths, indptr[rows.places]), data, indices, indptr


def csr_of(
    data: Array,
    indices: Array,
    indptr: NDArray[np.int64],
    n_columns: int,
    totals: NDArray[np.float64] | None = None,
) -> scipy.sparse.csr_matrix:
    """Return the arrays as CSR, its row pointer of the type of ``indices``; ``totals`` gets the sums of the rows."""
    shape = (indptr.size - 1, n_columns)
    rows = scipy.sparse.csr_matrix((data, indices, indptr.astype(indices.dtype, copy=False)), shape=shape)
    if totals is not None:
        totals[:] = row_totals(rows)
    return rows
