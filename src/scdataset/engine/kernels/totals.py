"""Sums of the values of rows."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array

__all__ = ["add_up", "row_totals"]


def row_totals(values: Any) -> NDArray[np.float64]:
    """Return the sum of every row of CSR or of a dense array, shape ``(n_rows,)``."""
    if not scipy.sparse.issparse(values):
        sums: NDArray[np.float64] = values.sum(axis=1, dtype=np.float64)
        return sums
    rows: Any = values
    pointers = rows.indptr.astype(np.int64)
    totals = np.empty(pointers.size - 1)
    add_up(rows.data, 0, pointers[:-1], np.diff(pointers), totals)
    return totals


@compiled
def add_up(
    data: Array, base: int, starts: NDArray[np.int64], lengths: NDArray[np.int64], totals: NDArray[np.float64]
) -> None:
    """Set ``totals`` to the sums of rows; ``data`` has values from ``base`` on.

    Four sums a row, since each addition waits for the one before.
    """
    for row in range(starts.size):
        start = starts[row] - base
        stop = start + lengths[row]
        a = b = c = d = 0.0
        k = start
        while k + 4 <= stop:
            a += data[k]
            b += data[k + 1]
            c += data[k + 2]
            d += data[k + 3]
            k += 4
        while k < stop:
            a += data[k]
            k += 1
        totals[row] = (a + b) + (c + d)
