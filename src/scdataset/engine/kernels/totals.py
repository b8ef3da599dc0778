"""Sums of the values of rows."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array

__all__ = ["add_up", "row_totals"]

_LANES = 64
"""Sums of parts of a row: enough that the compiler keeps them in memory and uses vector instructions."""


def row_totals(values: scipy.sparse.csr_matrix | Array) -> NDArray[np.float64]:
    """Return the sum of every row of CSR or of a dense array, shape ``(n_rows,)``."""
    if isinstance(values, np.ndarray):
        sums: NDArray[np.float64] = values.sum(axis=1, dtype=np.float64)
        return sums
    pointers = values.indptr.astype(np.int64)
    totals = np.empty(pointers.size - 1)
    add_up(values.data, 0, pointers[:-1], np.diff(pointers), totals)
    return totals


@compiled
def add_up(
    data: Array, base: int, starts: NDArray[np.int64], lengths: NDArray[np.int64], totals: NDArray[np.float64]
) -> None:
    """Set ``totals`` to the sums of rows; ``data`` has values from ``base`` on.

    Each of many lanes adds up every 64th value, and then halves of the lanes are added: vector instructions add several
    lanes at once, always in this order, so that sums are the same on every processor.
    """
    lanes = np.zeros(_LANES)
    for row in range(starts.size):
        start = starts[row] - base
        own = data[start : start + lengths[row]]
        lanes[:] = 0
        whole = own.size // _LANES * _LANES
        for k in range(0, whole, _LANES):
            for i in range(_LANES):
                lanes[i] += own[k + i]
        for i in range(own.size - whole):
            lanes[i] += own[whole + i]
        width = _LANES
        while width > 1:
            width //= 2
            for i in range(width):
                lanes[i] += lanes[width + i]
        totals[row] = lanes[0]
