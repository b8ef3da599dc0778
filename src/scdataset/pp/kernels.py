"""Compiled loops over windows of CSR rows; they add to the results of earlier windows.

Each runs in one thread and adds the rows of a group in their order, so that floats are added as scanpy adds them. Rows
of one group come together, which finds the sums of its genes in the cache.
"""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array

__all__ = ["add_clipped", "add_moments", "count_buckets", "sum_of_largest"]


@compiled
def add_moments(
    indptr: Array,
    columns: Array,
    data: Array,
    groups: NDArray[np.int64],
    order: NDArray[np.int64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> None:
    """Add values and their squares to the genes of the group of each row; both have shape ``(n_groups, n_vars)``.

    Rows are taken in ``order``. A square has the type of its value, as in scanpy: that of a float32 is rounded.
    """
    for row in order:
        group = groups[row]
        for k in range(indptr[row], indptr[row + 1]):
            value = data[k]
            sums[group, columns[k]] += value
            squares[group, columns[k]] += value * value


@compiled
def add_clipped(
    indptr: Array,
    columns: Array,
    data: Array,
    groups: NDArray[np.int64],
    order: NDArray[np.int64],
    limits: NDArray[np.float64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> None:
    """Do as `add_moments` with values of at most the limit of the gene, shape ``(n_groups, n_vars)``."""
    for row in order:
        group = groups[row]
        for k in range(indptr[row], indptr[row + 1]):
            column = columns[k]
            value = min(np.float64(data[k]), limits[group, column])
            sums[group, column] += value
            squares[group, column] += value * value


@compiled
def count_buckets(
    columns: Array,
    keys: NDArray[np.int64],
    lowest: NDArray[np.int64],
    shift: int,
    counts: NDArray[np.int32],
) -> None:
    """Count keys by gene and by how often ``2 ** shift`` fits between ``lowest`` of the gene and the key.

    Keys that are lower, or beyond the last bucket, are left out; ``counts`` has shape ``(n_vars, n_buckets)``.
    """
    for k in range(keys.size):
        distance = keys[k] - lowest[columns[k]]
        bucket = distance >> shift
        if distance >= 0 and bucket < counts.shape[1]:
            counts[columns[k], bucket] += 1


@compiled
def sum_of_largest(indptr: Array, data: Array, numbers: NDArray[np.int64], sums: NDArray[np.float64]) -> None:
    """Set ``sums[row, j]`` to the sum of the ``numbers[j]`` largest values of each row; ``numbers`` ascend."""
    for row in range(sums.shape[0]):
        values = np.sort(data[indptr[row] : indptr[row + 1]])
        total = 0.0
        taken = 0
        for j in range(numbers.size):
            while taken < numbers[j] and taken < values.size:
                taken += 1
                total += values[values.size - taken]
            sums[row, j] = total
