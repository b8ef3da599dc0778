"""Stored matrices, and the parts of them that are read along with rows of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._types import Array, DType
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.context import ReadContext

__all__ = ["Matrix", "MatrixRows", "Part", "Split"]

M_co = TypeVar("M_co", covariant=True)
T = TypeVar("T")

MatrixRows: TypeAlias = scipy.sparse.csr_matrix | Array
"""Rows of a matrix: CSR, or a dense array, shape ``(n_rows, n_columns)``."""


@dataclass(frozen=True, slots=True)
class Part(Generic[M_co]):
    """One matrix's part of the rows that are read.

    Attributes
    ----------
    matrix
        The matrix.
    rows
        Its rows, ascending, perhaps repeated, shape ``(n,)``, int64.
    places
        Which rows of the result they are, shape ``(n,)``, int64.
    """

    matrix: M_co
    rows: NDArray[np.int64]
    places: NDArray[np.int64]

    @staticmethod
    def whole(matrix: T, rows: NDArray[np.int64]) -> "list[Part[T]]":
        """Return the one part of rows of a single matrix, in any order."""
        order = np.argsort(rows)
        return [Part(matrix, rows[order], order)]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of a stack, divided among its matrices.

    Attributes
    ----------
    numbers
        The matrices that have some of them, ascending, shape ``(n_parts,)``, int64.
    bounds
        The k-th of those has ``rows[bounds[k]:bounds[k + 1]]``, shape ``(n_parts + 1,)``, int64.
    rows, places
        As in `Part`, of one matrix after the other.
    """

    numbers: NDArray[np.int64]
    bounds: NDArray[np.int64]
    rows: NDArray[np.int64]
    places: NDArray[np.int64]

    def parts(self, matrices: Sequence[T]) -> "list[Part[T]]":
        """Return the part of each matrix, given all of the stack."""
        parts = []
        for number, (start, stop) in zip(self.numbers.tolist(), pairwise(self.bounds.tolist()), strict=True):
            parts.append(Part(matrices[number], self.rows[start:stop], self.places[start:stop]))
        return parts


class Matrix(Protocol):
    """A stored matrix of shape ``(n_rows, n_columns)``."""

    @property
    def kind(self) -> str:
        """``"CSR"`` or ``"dense"``."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        ...

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> MatrixRows:
        """Return rows, in any order and repeated or not."""
        ...

    @classmethod
    def read_parts(
        cls,
        parts: Sequence[Part[Self]],
        n_columns: int,
        dtype: DType,
        context: ReadContext,
        totals: NDArray[np.float64] | None = None,
    ) -> MatrixRows:
        """Return rows of several matrices of this kind, all of ``n_columns`` columns, as values of ``dtype``.

        ``totals`` gets the sums of the rows, over columns that `remap` left out as well, shape ``(n_rows,)``.
        """
        ...

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows, ascending, will be read soon, and return the number of requests.

        That is 0 if nearly all of them are in memory, of which the system is not told.
        """
        ...

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading these rows, ascending; no values are read."""
        ...

    def remap(self, remapping: NDArray[np.int32], n_columns: int) -> "Matrix":
        """Return the matrix with other columns: ``remapping[c]`` for the stored column ``c``, -1 to leave it out."""
        ...

    def close(self) -> None:
        """Close all files."""
        ...
