"""Matrices one below the other, read as one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scdataset._types import DType
from scdataset.engine.arrays.many_files import MANY
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.alike import AlikeMatrices
from scdataset.engine.matrices.parts import Matrix, MatrixRows, Split
from scdataset.engine.matrices.remapped import read_apart
from scdataset.engine.observer import WHOLE, note, observed, observer_here

__all__ = ["Stack"]

_TRIED = 16
"""Rows that are tried to tell whether a window is in memory."""

_LACKING = 8
"""One in so many of the matrices tried may lack rows: a window that lacks little is read faster as it is."""


class Stack:
    """Matrices of one kind and width, one below the other.

    Parameters
    ----------
    matrices
        At least one; all are CSR or all are dense, of as many columns.
    """

    def __init__(self, matrices: Sequence[Matrix]) -> None:
        self._matrices = list(matrices)
        self._alike = AlikeMatrices.from_matrices(self._matrices)
        self._types = {type(matrix) for matrix in matrices}
        self._firsts = np.cumsum([0, *(matrix.shape[0] for matrix in matrices)])
        self.kind = matrices[0].kind
        self.is_remote = any(matrix.is_remote for matrix in matrices)
        self.shape = (int(self._firsts[-1]), matrices[0].shape[1])
        # The same type whichever matrices a read happens to touch.
        self.dtype: DType = np.result_type(*(matrix.dtype for matrix in matrices))

    def read(
        self, rows: NDArray[np.int64], context: ReadContext, totals: NDArray[np.float64] | None = None
    ) -> MatrixRows:
        """Return rows, in any order and repeated or not; ``totals`` as in `Matrix.read_parts`."""
        with observed(WHOLE, reads=1, rows=rows.size):
            split = self._split(rows)
            if self._alike is not None and split.numbers.size >= MANY:
                result: MatrixRows = self._alike.read(split, context, totals)
            else:
                read = self._matrices[0].read_parts if len(self._types) == 1 else read_apart
                result = read(split.parts(self._matrices), self.shape[1], self.dtype, context, totals)
        if observer_here() is not None:
            note(result_bytes=_n_bytes(result))
        return result

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows will be read soon, and return the number of requests.

        Of many rows in files some are tried first: if they are in memory, so are the others, nearly all of them.
        """
        if rows.size > _TRIED and not self.is_remote:
            n_lacking, tried = 0, self._split(rows[:: rows.size // _TRIED]).parts(self._matrices)
            for part in tried:
                n_lacking += part.matrix.announce(part.rows) > 0
            if n_lacking <= len(tried) // _LACKING:
                return 0
        return sum(part.matrix.announce(part.rows) for part in self._split(rows).parts(self._matrices))

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading these rows, in any order; no values are read."""
        parts = self._split(rows).parts(self._matrices)
        return sum((part.matrix.read_cost(part.rows) for part in parts), ReadCost())

    def close(self) -> None:
        """Close all files."""
        for matrix in self._matrices:
            matrix.close()

    def _split(self, rows: NDArray[np.int64]) -> Split:
        order = np.argsort(rows)
        ascending = rows[order]
        bounds = np.searchsorted(ascending, self._firsts)
        sizes = np.diff(bounds)
        numbers = np.flatnonzero(sizes)
        own = ascending - np.repeat(self._firsts[numbers], sizes[numbers])
        return Split(numbers, np.append(bounds[numbers], rows.size), own, order)


def _n_bytes(rows: MatrixRows) -> int:
    """Return the bytes of rows, CSR or dense."""
    if isinstance(rows, np.ndarray):
        return rows.nbytes
    n_bytes: int = rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes
    return n_bytes
