"""Rows of a stored matrix, row-sparse or dense, as arrays in their final order."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset.engine.elements import Elements, Spans
from scdataset.engine.kernels import NO_LIMIT
from scdataset.engine.rowtable import RowTable
from scdataset.engine.slabs import SlabPool
from scdataset.engine.threads import Threads

__all__ = ["CsrMatrix", "DenseMatrix", "Matrix"]


class Matrix(Protocol):
    """A stored matrix of shape ``(n_rows, n_columns)``."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        ...

    def read(self, rows: NDArray[np.int64], slabs: SlabPool, threads: Threads) -> Any:
        """Return rows, in any order and repeated or not."""
        ...

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


@dataclass(frozen=True, slots=True)
class CsrMatrix:
    """A row-sparse matrix: three stored arrays, as AnnData and 10x write them.

    Attributes
    ----------
    shape, dtype
        Of the matrix.
    data, indices
        Values and their column numbers.
    table
        Where rows begin.
    """

    shape: tuple[int, int]
    data: Elements
    indices: Elements
    table: RowTable

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.data.dtype

    def read(self, rows: NDArray[np.int64], slabs: SlabPool, threads: Threads) -> scipy.sparse.csr_matrix:
        """Return rows as CSR, shape ``(len(rows), n_columns)``, columns in the order in which they are stored."""
        spans, indptr = self._spans(rows)
        size = int(indptr[-1])
        data = slabs.empty(size, self.data.dtype)
        indices = slabs.empty(size, self.indices.dtype)
        self.data.gather(spans, data, NO_LIMIT, threads)
        # As unsigned numbers, negative ones begin at half their range: out of range, whatever the number of columns.
        limit = min(self.shape[1], np.iinfo(self.indices.dtype).max + 1)
        self.indices.gather(spans, indices, limit, threads)
        index_type = np.int32 if max(size, self.shape[1]) <= np.iinfo(np.int32).max else np.int64
        if indices.dtype != index_type:
            stored, indices = indices, slabs.empty(size, index_type)
            np.copyto(indices, stored, casting="unsafe")  # below n_columns, as gather made sure
        return scipy.sparse.csr_matrix(
            (data, indices, indptr.astype(index_type, copy=False)), shape=(rows.size, self.shape[1])
        )

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        starts, lengths = self.table.spans(np.sort(rows))
        spans = Spans(starts, lengths, starts)
        self.data.announce(spans)
        self.indices.announce(spans)

    def close(self) -> None:
        """Close what is open."""
        self.data.close()
        self.indices.close()

    def _spans(self, rows: NDArray[np.int64]) -> tuple[Spans, NDArray[np.int64]]:
        """Return where rows are and go, in the order of the file, and the row pointer of the result."""
        order = np.argsort(rows, kind="stable")
        starts, lengths = self.table.spans(rows[order])
        indptr = np.zeros(rows.size + 1, np.int64)
        indptr[1:][order] = lengths
        np.cumsum(indptr, out=indptr)
        return Spans(starts, lengths, indptr[:-1][order]), indptr


@dataclass(frozen=True, slots=True)
class DenseMatrix:
    """A dense matrix, stored in rows or in tiles.

    Attributes
    ----------
    shape, dtype
        Of the matrix.
    strips
        The columns of tiles, each a 1-D array of rows that follow each other; one strip if rows are stored whole.
    width
        Elements in a row of a tile, the last strip's padding included.
    """

    shape: tuple[int, int]
    strips: tuple[Elements, ...]
    width: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.strips[0].dtype

    def read(self, rows: NDArray[np.int64], slabs: SlabPool, threads: Threads) -> NDArray[Any]:
        """Return rows as an array, shape ``(len(rows), n_columns)``."""
        n_columns = self.shape[1]
        out = slabs.empty(rows.size * n_columns, self.dtype)
        order = np.argsort(rows, kind="stable")
        for number, strip in enumerate(self.strips):
            strip.gather(self._spans(rows[order], order, number), out, NO_LIMIT, threads)
        return out.reshape(rows.size, n_columns)

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        ascending = np.sort(rows)
        for number, strip in enumerate(self.strips):
            strip.announce(self._spans(ascending, ascending, number))

    def close(self) -> None:
        """Close what is open."""
        for strip in self.strips:
            strip.close()

    def _spans(self, rows: NDArray[np.int64], order: NDArray[np.int64], number: int) -> Spans:
        first_column = number * self.width
        length = min(self.width, self.shape[1] - first_column)
        places = order * self.shape[1] + first_column
        return Spans(rows * self.width, np.full(rows.size, length), places)
