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

__all__ = ["ChosenColumns"]


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
        return taken(stored, places, self.columns.size, slabs)

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        self.matrix.announce(rows)

    def close(self) -> None:
        """Close what is open."""
        self.matrix.close()


def taken(
    stored: scipy.sparse.csr_matrix, places: NDArray[Any], n_columns: int, slabs: SlabPool
) -> scipy.sparse.csr_matrix:
    """Return a matrix whose column ``places[i]`` is column i of ``stored``, less those where it is -1."""
    indptr = np.zeros_like(stored.indptr)
    _count(stored.indptr, stored.indices, places, indptr)
    data = slabs.empty(int(indptr[-1]), stored.data.dtype)
    indices = slabs.empty(int(indptr[-1]), stored.indices.dtype)
    _take(stored.indices, stored.data, places, indices, data)
    return scipy.sparse.csr_matrix((data, indices, indptr), shape=(stored.shape[0], n_columns))


@compiled
def _count(stored: NDArray[Any], columns: NDArray[Any], places: NDArray[Any], indptr: NDArray[Any]) -> None:
    kept = 0
    for row in range(stored.size - 1):
        for i in range(stored[row], stored[row + 1]):
            kept += places[columns[i]] >= 0
        indptr[row + 1] = kept


@compiled
def _take(
    columns: NDArray[Any], values: NDArray[Any], places: NDArray[Any], indices: NDArray[Any], data: NDArray[Any]
) -> None:
    kept = 0
    for i in range(columns.size):
        place = places[columns[i]]
        if place >= 0:
            indices[kept] = place
            data[kept] = values[i]
            kept += 1
