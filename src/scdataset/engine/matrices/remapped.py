"""Columns of a stored matrix in an order of one's own, and matrices that are read one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array, DType
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.totals import row_totals
from scdataset.engine.matrices.parts import Matrix, MatrixRows, Part
from scdataset.errors import CollectionError

__all__ = ["NumberedColumns", "OwnColumns", "ReadApart", "RemappedColumns", "read_apart", "remapped_of"]


def read_apart(
    parts: Sequence[Part[Matrix]],
    n_columns: int,
    dtype: DType,
    context: ReadContext,
    totals: NDArray[np.float64] | None = None,
) -> MatrixRows:
    """Return rows of several matrices, all CSR or all dense, each read by itself and then put in order."""
    places = np.concatenate([np.arange(0), *(part.places for part in parts)])
    read: list[Any] = [_read(part, context, totals) for part in parts]
    if read and not scipy.sparse.issparse(read[0]):
        out = context.buffers.empty(places.size * n_columns, dtype).reshape(places.size, n_columns)
        for part, rows in zip(parts, read, strict=True):
            out[part.places] = rows
        return out
    if not read:
        return scipy.sparse.csr_matrix((0, n_columns), dtype=dtype)
    stacked: MatrixRows = scipy.sparse.vstack(read, format="csr")[np.argsort(places)].astype(dtype, copy=False)
    return stacked


def _read(part: Part[Matrix], context: ReadContext, totals: NDArray[np.float64] | None) -> MatrixRows:
    """Return the rows of one matrix, and put their sums in their places of ``totals``."""
    matrix = part.matrix
    if totals is None:
        return matrix.read(part.rows, context)
    remapping = matrix if isinstance(matrix, RemappedColumns) else None
    stored = (matrix if remapping is None else remapping.matrix).read(part.rows, context)
    totals[part.places] = row_totals(stored)
    return stored if remapping is None else remapping.taken(stored, context)


class ReadApart:
    """Methods of a matrix that is not read together with others."""

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; only libraries of files read such matrices."""
        return False

    def read_cost(self: Matrix, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading rows as far as it is known: not at all, unless the matrix says more."""
        is_dense = self.kind == "dense"
        return ReadCost.unknown(rows.size * self.shape[1] * self.dtype.itemsize if is_dense else None)

    def remap(self: Matrix, remapping: NDArray[np.int32], n_columns: int) -> "RemappedColumns":
        """Return the matrix with ``n_columns`` other columns; see `RemappedColumns`."""
        return RemappedColumns(self, remapping, n_columns)

    @classmethod
    def read_parts(
        cls,
        parts: Sequence[Part[Matrix]],
        n_columns: int,
        dtype: DType,
        context: ReadContext,
        totals: NDArray[np.float64] | None = None,
    ) -> MatrixRows:
        """Return rows of several matrices, one matrix after the other."""
        return read_apart(parts, n_columns, dtype, context, totals)


@dataclass(frozen=True)
class OwnColumns(ReadApart):
    """A matrix that is read through another, and apart from those beside it.

    Where the other leaves out stored columns, sums of rows leave them out as well.

    Attributes
    ----------
    matrix
        The other matrix.
    """

    matrix: Matrix

    @property
    def kind(self) -> str:
        """As of the matrix."""
        return self.matrix.kind

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.matrix.shape

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        return self.matrix.dtype

    @property
    def is_remote(self) -> bool:
        """As of the matrix."""
        return self.matrix.is_remote

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> MatrixRows:
        """Return rows, in any order and repeated or not."""
        return self.matrix.read(rows, context)

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows will be read soon."""
        return self.matrix.announce(rows)

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading these rows of the other matrix."""
        return self.matrix.read_cost(rows)

    def close(self) -> None:
        """Close all files."""
        self.matrix.close()


@dataclass(frozen=True)
class RemappedColumns(OwnColumns):
    """A matrix with remapped columns, whose stored rows are read whole.

    Attributes
    ----------
    matrix
        The stored matrix.
    remapping
        The new number of each stored column, shape ``(n_stored,)``, int32, -1 for those that are left out. New columns
        without a stored one are zeros.
    n_columns
        Number of columns.
    """

    remapping: NDArray[np.int32]
    n_columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.matrix.shape[0], self.n_columns

    def remap(self, remapping: NDArray[np.int32], n_columns: int) -> "RemappedColumns":
        """Return the matrix with yet other columns."""
        return RemappedColumns(self.matrix, remapped_of(self.remapping, remapping), n_columns)

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> MatrixRows:
        """Return rows, in any order and repeated or not."""
        return self.taken(self.matrix.read(rows, context), context)

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading these rows; the stored rows are in memory beside the result."""
        dense = rows.size * self.n_columns * self.dtype.itemsize if self.kind == "dense" else 0
        return self.matrix.read_cost(rows) + ReadCost(result_bytes=dense)

    def taken(self, stored: MatrixRows, context: ReadContext) -> MatrixRows:
        """Return rows of the stored matrix with the columns of this one."""
        if not isinstance(stored, np.ndarray):
            return _taken(stored, self.remapping[stored.indices], self.n_columns, context)
        out = context.buffers.empty(len(stored) * self.n_columns, self.dtype).reshape(len(stored), self.n_columns)
        out[...] = 0
        selected = np.flatnonzero(self.remapping >= 0)
        out[:, self.remapping[selected]] = stored[:, selected]
        return out


@dataclass(frozen=True)
class NumberedColumns(OwnColumns):
    """A row-sparse matrix whose columns go by numbers of their own, such as the ids of genes in a vocabulary.

    Attributes
    ----------
    matrix
        The stored matrix, wide enough for every number.
    path
        The file, for messages.
    numbers
        The number of each column, each once, shape ``(n_columns,)``, int64.
    drop
        Whether values under other numbers are left out; else they are refused.
    """

    path: str
    numbers: NDArray[np.int64]
    drop: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.matrix.shape[0], self.numbers.size

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> scipy.sparse.csr_matrix:
        """Return rows, in any order and repeated or not."""
        stored = cast("scipy.sparse.csr_matrix", self.matrix.read(rows, context))
        order = np.argsort(self.numbers)
        columns = np.empty(stored.indices.size, np.int32)
        n_unknown = _numbered(stored.indices, self.numbers[order], order, columns)
        if n_unknown and not self.drop:
            self._refuse(np.unique(stored.indices[columns < 0]), n_unknown, rows.size)
        return _taken(stored, columns, self.numbers.size, context)

    def _refuse(self, unknown: NDArray[np.int64], n_values: int, n_rows: int) -> None:
        message = (
            f"{self.path}: {n_values} values of {n_rows} cells are of {unknown.size} genes that gene_table lacks, such "
            f'as {unknown[:5].tolist()}. Give a table that has them, or unknown_genes="drop" to leave them out.'
        )
        raise CollectionError(message)


def remapped_of(before: NDArray[np.int32] | None, remapping: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the new numbers of stored columns that were already remapped to ``before``, if that is given."""
    return remapping if before is None else np.where(before >= 0, remapping[before], np.int32(-1))


def _taken(
    stored: scipy.sparse.csr_matrix, columns: Array, n_columns: int, context: ReadContext
) -> scipy.sparse.csr_matrix:
    """Return ``stored`` with other columns for its values, less those for which they are -1."""
    indptr = np.zeros(stored.indptr.size, stored.indptr.dtype)
    _count(stored.indptr, columns, indptr)
    data = context.buffers.empty(int(indptr[-1]), stored.data.dtype)
    indices = context.buffers.empty(int(indptr[-1]), np.int32)
    _take(columns, stored.data, indices, data)
    return scipy.sparse.csr_matrix((data, indices, indptr), shape=(stored.shape[0], n_columns))


@compiled
def _count(stored: Array, columns: Array, indptr: Array) -> None:
    selected = 0
    for row in range(stored.size - 1):
        for i in range(stored[row], stored[row + 1]):
            selected += columns[i] >= 0
        indptr[row + 1] = selected


@compiled
def _take(columns: Array, values: Array, indices: Array, data: Array) -> None:
    selected = 0
    for i in range(columns.size):
        if columns[i] >= 0:
            indices[selected] = columns[i]
            data[selected] = values[i]
            selected += 1


@compiled
def _numbered(
    numbers: Array, ascending: NDArray[np.int64], order: NDArray[np.int64], columns: NDArray[np.int32]
) -> int:
    """Find the column of each number, -1 for none; return how many have none."""
    n_unknown = 0
    close = ascending.size > 0 and ascending[-1] - ascending[0] == ascending.size - 1
    for i in range(numbers.size):
        if close:
            place = min(max(numbers[i] - ascending[0], 0), ascending.size - 1)
        else:
            place = np.searchsorted(ascending, numbers[i])
        known = place < ascending.size and ascending[place] == numbers[i]
        columns[i] = order[place] if known else -1
        n_unknown += not known
    return n_unknown
