"""Counts of fewer molecules, drawn from those of every cell."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import number, whole
from scdataset.errors import ArgumentValueError
from scdataset.strategy.row_keys import RowKeys
from scdataset.transforms.base import Transform
from scdataset.transforms.hypergeometric import downsampled, first_uncountable
from scdataset.transforms.matrices import (
    Csr,
    Matrix,
    as_canonical_csr,
    is_sparse,
    matrix_of,
    with_data,
    with_matrix,
    with_members,
)
from scdataset.transforms.row_keys import checked_keys, drawn
from scdataset.transforms.totals import AUTO, key_of_totals, total_counts
from scdataset.transforms.values import check_counts

__all__ = ["DownsampleCounts"]


@dataclass(frozen=True, eq=False)
class DownsampleCounts(Transform):
    """Draw some of the molecules of every cell, without replacement, as ``scanpy.pp.downsample_counts`` does.

    Of a batch that has ``total_counts`` of all genes (``open_collection(genes=..., row_sums=True)``), they are drawn
    from all genes, X gets those of its own genes, and ``total_counts`` becomes the number that was drawn.

    Parameters
    ----------
    total
        Molecules of a cell afterwards; a cell that has no more stays as it is.
    fraction
        In place of ``total``: the share of each cell's molecules, rounded to a whole number of them.
    stream
        Another number gives other molecules, such as those of a second view of the same cells.

    Examples
    --------
    >>> counts = np.array([[2, 0, 1], [9, 0, 9]], np.float32)
    >>> DownsampleCounts(4)(counts, RowKeys([0, 1], seed=0, epoch=0)).sum(axis=1)
    array([3., 4.], dtype=float32)
    """

    total: int | None = None
    fraction: float | None = None
    stream: int = 0

    runs_ahead = True
    needs_keys = True

    def __post_init__(self) -> None:
        if (self.total is None) == (self.fraction is None):
            message = f"total={self.total} and fraction={self.fraction}; give one of the two."
            raise ArgumentValueError(message)
        whole("stream", self.stream, minimum=0)
        if self.total is not None:
            whole("total", self.total, minimum=0)
        elif not 0 <= number("fraction", self.fraction) <= 1:
            message = f"fraction={self.fraction}; give the share of molecules to keep, from 0 to 1."
            raise ArgumentValueError(message)

    def __call__(self, value: Any, keys: RowKeys | None = None) -> Any:
        """Return ``value`` with fewer counts in X: a `MultiIndexable`, a dict, AnnData, CSR or a dense array.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If it is something else, has values that are no counts, or the keys of its rows are not given.
        """
        matrix = matrix_of(value, "DownsampleCounts")
        rows = as_canonical_csr(matrix)
        check_counts("DownsampleCounts", rows)
        row_keys = drawn(checked_keys(self, keys, rows.shape[0]), "downsample", self.stream)
        totals = self._totals(rows, value)
        wanted = np.minimum(totals, self._wanted(totals))
        kept = with_data(rows, downsampled(rows.data, rows.indices, rows.indptr, row_keys, totals, wanted))
        changed = with_matrix(value, _like(matrix, kept))
        name = key_of_totals(value, AUTO)
        return changed if name is None else with_members(changed, {name: wanted.astype(np.asarray(value[name]).dtype)})

    def _wanted(self, totals: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.total is not None:
            return np.full_like(totals, self.total)
        share = np.float64(self.fraction or 0)
        return np.rint(totals * share).astype(np.int64)

    def _totals(self, rows: Csr, value: object) -> NDArray[np.int64]:
        totals = total_counts("DownsampleCounts", rows, value, AUTO)
        sums = total_counts("DownsampleCounts", rows, value, None)
        place = first_uncountable(totals)
        if place < 0 and np.any(totals < sums):
            place = int(np.argmax(totals < sums))
        if place >= 0:
            message = (
                f"DownsampleCounts: total_counts of row {place} of the batch is {totals[place]}, and its counts in X "
                f"add up to {sums[place]}; give the whole number of counts over all genes."
            )
            raise ArgumentValueError(message)
        return totals.astype(np.int64)


def _like(matrix: Matrix, kept: Csr) -> Matrix:
    """Return counts in the form and type of ``matrix``, without zeros among those that are stored."""
    if not is_sparse(matrix):
        return kept.toarray().astype(matrix.dtype, copy=False)
    kept = kept.copy() if np.shares_memory(kept.indices, matrix.indices) else kept
    kept.eliminate_zeros()
    return kept
