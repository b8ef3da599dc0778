"""Compiled loops over the values of a CSR matrix."""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array

__all__ = ["divide_rows", "is_canonical", "sum_rows"]


@compiled
def sum_rows(data: Array, indptr: Array) -> NDArray[np.float64]:
    """Return the sum of every row, shape ``(n_rows,)``."""
    sums = np.zeros(indptr.size - 1, np.float64)
    for row in range(sums.size):
        for k in range(indptr[row], indptr[row + 1]):
            sums[row] += data[k]
    return sums


@compiled
def divide_rows(data: Array, indptr: Array, divisors: Array, out: Array) -> None:
    """Write the values of every row, divided by its divisor, to ``out``."""
    for row in range(divisors.size):
        divisor = divisors[row]
        for k in range(indptr[row], indptr[row + 1]):
            out[k] = data[k] / divisor


@compiled
def is_canonical(data: Array, indices: Array, indptr: Array, n_columns: int) -> bool:
    """Tell whether the columns of every row ascend, lie in ``[0, n_columns)``, and none of their values is 0."""
    for row in range(indptr.size - 1):
        before = -1
        for k in range(indptr[row], indptr[row + 1]):
            if indices[k] <= before or indices[k] >= n_columns or data[k] == 0:
                return False
            before = indices[k]
    return True
