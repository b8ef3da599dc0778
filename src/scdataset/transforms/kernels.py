"""Compiled loops over the values of a CSR matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled

__all__ = ["divide_rows", "sum_rows"]


@compiled
def sum_rows(data: NDArray[Any], indptr: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of every row, shape ``(n_rows,)``."""
    sums = np.zeros(indptr.size - 1, np.float64)
    for row in range(sums.size):
        for k in range(indptr[row], indptr[row + 1]):
            sums[row] += data[k]
    return sums


@compiled
def divide_rows(data: NDArray[Any], indptr: NDArray[Any], divisors: NDArray[Any]) -> NDArray[Any]:
    """Return the values of every row divided by its divisor."""
    out = np.empty_like(data)
    for row in range(divisors.size):
        divisor = divisors[row]
        for k in range(indptr[row], indptr[row + 1]):
            out[k] = data[k] / divisor
    return out
