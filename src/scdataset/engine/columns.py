"""Some columns of a stored matrix, in an order of one's own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.matrix import Matrix
from scdataset.engine.slabs import SlabPool
from scdataset.engine.threads import Threads
from scdataset.errors import CollectionError

__all__ = ["ChosenColumns", "NumberedColumns"]


@dataclass(frozen=True, slots=True)
class ChosenColumns:
    """A matrix of some columns of another, which is read whole.

    Attributes
    ----------
    matrix
        The stored matrix.
    columns
        Numbers of its columns, each once, shape ``(n_columns,)``, int64.
    """

    matrix: Matrix
    columns: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.matrix.shape[0], self.columns.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.matrix.dtype

    def read(self, rows: NDArray[np.int64], slabs: SlabPool, threads: Threads) -> Any:
        """Return rows, in any order and repeated or not."""
        stored: Any = self.matrix.read(rows, slabs, threads)
        if isinstance(stored, np.ndarray):
            return stored[:, self.columns]
        places = np.full(self.matrix.shape[1], -1, stored.indices.dtype)
        places[self.columns] = np.arange(self.columns.size)
        return _taken(stored, places[stored.indices], self.columns.size, slabs)

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        self.matrix.announce(rows)

    def close(self) -> None:
        """Close what is open."""
        self.matrix.close()


@dataclass(frozen=True, slots=True)
class NumberedColumns:
    """A row-sparse matrix whose columns go by numbers of their own, such as the ids of genes in a vocabulary.

    Attributes
    ----------
    path
        The file, for messages.
    matrix
        The stored matrix, wide enough for every number.
    numbers
        The number of each column, each once, shape ``(n_columns,)``, int64.
    drop
        Whether values under other numbers are left out; else they are refused.
    """

    path: str
    matrix: Matrix
    numbers: NDArray[np.int64]
    drop: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.matrix.shape[0], self.numbers.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.matrix.dtype

    def read(self, rows: NDArray[np.int64], slabs: SlabPool, threads: Threads) -> scipy.sparse.csr_matrix:
        """Return rows, in any order and repeated or not."""
        stored: Any = self.matrix.read(rows, slabs, threads)
        order = np.argsort(self.numbers)
        columns = np.empty(stored.indices.size, np.int32)
        n_unknown = _numbered(stored.indices, self.numbers[order], order, columns)
        if n_unknown and not self.drop:
            self._refuse(np.unique(stored.indices[columns < 0]), n_unknown, rows.size)
        return _taken(stored, columns, self.numbers.size, slabs)

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        self.matrix.announce(rows)

    def close(self) -> None:
        """Close what is open."""
        self.matrix.close()

    def _refuse(self, unknown: NDArray[np.int64], n_values: int, n_rows: int) -> None:
        message = (
            f"{self.path}: {n_values} values of {n_rows} cells are of {unknown.size} genes that gene_table lacks, such "
            f'as {unknown[:5].tolist()}. Give a table that has them, or unknown_genes="drop" to leave them out.'
        )
        raise CollectionError(message)


def _taken(
    stored: scipy.sparse.csr_matrix, columns: NDArray[Any], n_columns: int, slabs: SlabPool
) -> scipy.sparse.csr_matrix:
    """Return ``stored`` with other columns for its values, less those for which they are -1."""
    indptr = np.zeros(stored.indptr.size, stored.indptr.dtype)
    _count(stored.indptr, columns, indptr)
    data = slabs.empty(int(indptr[-1]), stored.data.dtype)
    indices = slabs.empty(int(indptr[-1]), np.int32)
    _take(columns, stored.data, indices, data)
    return scipy.sparse.csr_matrix((data, indices, indptr), shape=(stored.shape[0], n_columns))


@compiled
def _count(stored: NDArray[Any], columns: NDArray[Any], indptr: NDArray[Any]) -> None:
    kept = 0
    for row in range(stored.size - 1):
        for i in range(stored[row], stored[row + 1]):
            kept += columns[i] >= 0
        indptr[row + 1] = kept


@compiled
def _take(columns: NDArray[Any], values: NDArray[Any], indices: NDArray[Any], data: NDArray[Any]) -> None:
    kept = 0
    for i in range(columns.size):
        if columns[i] >= 0:
            indices[kept] = columns[i]
            data[kept] = values[i]
            kept += 1


@compiled
def _numbered(
    numbers: NDArray[Any], ascending: NDArray[np.int64], order: NDArray[np.int64], columns: NDArray[np.int32]
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
