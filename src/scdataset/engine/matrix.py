"""Rows of stored matrices, row-sparse or dense, as arrays in their final order.

rows ──► parts: the rows of each matrix, and their places ──► tasks for all threads ──► one array
"""

from collections.abc import Sequence  # noqa: TC003 as in the other modules
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset.engine.buffers import BufferPool
from scdataset.engine.columns import RemappedColumns, remapped_of
from scdataset.engine.half_floats import SingleFloats
from scdataset.engine.parts import Matrix, Part
from scdataset.engine.reads import Read, StackedRead, n_tasks, run_reads, run_stacked
from scdataset.engine.row_pointers import RowPointers
from scdataset.engine.select import ReadSpec, read_selected
from scdataset.engine.spans import ANY, Columns, Spans
from scdataset.engine.stored_arrays import StoredArray
from scdataset.engine.threads import Threads
from scdataset.engine.totals import row_totals
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["CsrMatrix", "DenseMatrix", "Matrix", "Part", "converted", "delivered_type"]

_INT32_MAX = np.iinfo(np.int32).max


def delivered_type(kind: str, wanted: Any) -> np.dtype[Any]:
    """Return the type to which the values of a matrix are converted.

    Parameters
    ----------
    kind
        ``"CSR"`` or ``"dense"``.
    wanted
        The type, as numpy understands it.

    Raises
    ------
    ArgumentTypeError
        If it is no type.
    ArgumentValueError
        If it is not one of real numbers, or not one that a matrix of the kind can have.
    """
    advice = 'give a type such as "float32", or None for the stored type.'
    try:
        dtype: np.dtype[Any] = np.dtype(wanted)
    except TypeError as error:
        message = f"dtype={wanted!r} is not a type of numbers; {advice}"
        raise ArgumentTypeError(message) from error
    if dtype.kind not in "iufb" or not dtype.isnative:
        message = f"dtype={wanted!r} has to be of real numbers in the byte order of this machine; {advice}"
        raise ArgumentValueError(message)
    if kind == "CSR" and dtype == np.float16:
        message = f"dtype={wanted!r} is for dense values: scipy has no sparse matrices of float16; {advice}"
        raise ArgumentValueError(message)
    return dtype


def converted(matrix: Any, dtype: "np.dtype[Any]") -> Any:
    """Return a matrix, CSR or dense, with its values in another type.

    Raises
    ------
    ArgumentValueError
        If the type is one of integers, and they would differ from the values: fractions, missing ones, or numbers
        beyond its bounds.
    """
    values: Any = getattr(matrix, "data", matrix) if scipy.sparse.issparse(matrix) else matrix
    if dtype.kind in "iu" and not np.can_cast(values.dtype, dtype):
        with np.errstate(invalid="ignore"):  # of missing values, which the comparison finds
            differ = values.astype(dtype) != values
        if differ.any():
            message = (
                f"dtype={dtype.name!r} would change {np.count_nonzero(differ)} of {differ.size} values that were read, "
                f"such as {values[differ][0]}; give a type that holds them, or None for the stored type."
            )
            raise ArgumentValueError(message)
    return matrix.astype(dtype, copy=False)


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
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.data.dtype

    def read(self, rows: NDArray[np.int64], buffers: BufferPool, threads: Threads) -> scipy.sparse.csr_matrix:
        """Return rows as CSR, shape ``(len(rows), n_columns)``, columns in the order in which they are stored."""
        return self.read_parts(Part.whole(self, rows), self.shape[1], self.dtype, buffers, threads)

    @classmethod
    def read_parts(
        cls,
        parts: "Sequence[Part[CsrMatrix]]",
        n_columns: int,
        dtype: np.dtype[Any],
        buffers: BufferPool,
        threads: Threads,
        totals: NDArray[np.float64] | None = None,
    ) -> scipy.sparse.csr_matrix:
        """Return rows of several matrices as one CSR; see `Matrix.read_parts`."""
        where = [part.matrix.table.spans(part.rows) for part in parts]
        if any(part.matrix.drops for part in parts):
            specs = [part.matrix.read_spec(*spans, part.places) for part, spans in zip(parts, where, strict=True)]
            return _csr(*read_selected(specs, dtype, buffers, threads, n_tasks(threads), totals), n_columns)
        places = np.concatenate([np.arange(0), *(part.places for part in parts)])
        indptr = np.zeros(places.size + 1, np.int64)
        starts = np.concatenate([np.arange(0), *(starts for starts, _ in where)])
        lengths = np.concatenate([np.arange(0), *(lengths for _, lengths in where)])
        indptr[1:][places] = lengths
        np.cumsum(indptr, out=indptr)
        spans, bounds = Spans(starts, lengths, indptr[places]), np.cumsum([0, *(part.rows.size for part in parts)])
        index_type = np.int32 if max(indptr[-1], n_columns) <= _INT32_MAX else np.int64
        data, indices = buffers.empty(int(indptr[-1]), dtype), buffers.empty(int(indptr[-1]), index_type)
        matrices = [part.matrix for part in parts]
        stacked = [
            StackedRead([matrix.data for matrix in matrices], [ANY] * len(parts), spans, bounds, data),
            StackedRead([matrix.indices for matrix in matrices], [m.columns for m in matrices], spans, bounds, indices),
        ]
        run_stacked(stacked, buffers, threads)
        read = _csr(data, indices, indptr, n_columns)
        if totals is not None:
            totals[:] = row_totals(read)
        return read

    def announce(self, rows: NDArray[np.int64]) -> bool:
        """Tell the system that these rows, ascending, will be read soon."""
        starts, lengths = self.table.spans(rows)
        spans = Spans(starts, lengths, starts)
        told = self.data.announce(spans), self.indices.announce(spans)
        return any(told)

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
        """Return rows of which columns are left out."""
        columns = self.columns
        if not columns.table.size:
            columns = Columns(columns.limit, np.arange(self.shape[1], dtype=np.int32))
        return ReadSpec(self.data, self.indices, columns, starts, lengths, places)


@dataclass(frozen=True)
class DenseMatrix:
    """A dense matrix, stored in rows or in tiles.

    Attributes
    ----------
    shape
        Of the matrix.
    strips
        The columns of tiles, each a 1-D array of rows that follow each other; one strip if rows are stored whole.
    width
        Elements in a row of a tile, the last strip's padding included.
    """

    shape: tuple[int, int]
    strips: tuple[StoredArray, ...]
    width: int
    kind = "dense"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.strips[0].dtype

    def read(self, rows: NDArray[np.int64], buffers: BufferPool, threads: Threads) -> NDArray[Any]:
        """Return rows as an array, shape ``(len(rows), n_columns)``."""
        return self.read_parts(Part.whole(self, rows), self.shape[1], self.dtype, buffers, threads)

    @classmethod
    def read_parts(
        cls,
        parts: "Sequence[Part[DenseMatrix]]",
        n_columns: int,
        dtype: np.dtype[Any],
        buffers: BufferPool,
        threads: Threads,
        totals: NDArray[np.float64] | None = None,
    ) -> NDArray[Any]:
        """Return rows of several matrices as one array; see `Matrix.read_parts`."""
        n_rows = sum(part.rows.size for part in parts)
        out = buffers.empty(n_rows * n_columns, dtype)
        reads = [
            Read(strip, part.matrix.spans(part.rows, part.places, number), out)
            for part in parts
            for number, strip in enumerate(part.matrix.strips)
        ]
        run_reads(reads, buffers, threads)
        rows = out.reshape(n_rows, n_columns)
        if totals is not None:
            totals[:] = row_totals(rows)
        return rows

    def remap(self, remapping: NDArray[np.int32], n_columns: int) -> RemappedColumns:
        """Return the matrix with ``n_columns`` other columns; see `RemappedColumns`."""
        return RemappedColumns(self, remapping, n_columns)

    def announce(self, rows: NDArray[np.int64]) -> bool:
        """Tell the system that these rows, ascending, will be read soon."""
        told = [strip.announce(self.spans(rows, rows, number)) for number, strip in enumerate(self.strips)]
        return any(told)

    def close(self) -> None:
        """Close all files."""
        for strip in self.strips:
            strip.close()

    def spans(self, rows: NDArray[np.int64], places: NDArray[np.int64], number: int) -> Spans:
        """Return where a strip has rows, and where they go in an array of as many columns."""
        first_column = number * self.width
        length = min(self.width, self.shape[1] - first_column)
        return Spans(rows * self.width, np.full(rows.size, length), places * self.shape[1] + first_column)


def _csr(
    data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[np.int64], n_columns: int
) -> scipy.sparse.csr_matrix:
    shape = (indptr.size - 1, n_columns)
    return scipy.sparse.csr_matrix((data, indices, indptr.astype(indices.dtype, copy=False)), shape=shape)
