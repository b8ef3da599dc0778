"""Compiled loops over CSR rows that draw from the key of each row.

A value's draw is the step of its row's stream that has the number of its column, so that it does not depend on what
else is stored.
"""

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.strategy.keys import mix, unit_float

__all__ = ["choose_exactly", "choose_independently"]


@compiled
def choose_independently(indices: Array, indptr: Array, keys: NDArray[np.uint64], ratio: float) -> NDArray[np.bool_]:
    """Choose each stored value with probability ``ratio``."""
    chosen = np.zeros(indptr[-1], np.bool_)
    for row in range(keys.size):
        for k in range(indptr[row], indptr[row + 1]):
            chosen[k] = unit_float(mix(keys[row], np.uint64(indices[k]))) < ratio
    return chosen


@compiled
def choose_exactly(indices: Array, indptr: Array, keys: NDArray[np.uint64], ratio: float) -> NDArray[np.bool_]:
    """Choose ``int(n * ratio)`` of the ``n`` values of each row (selection sampling: Fan, Muller and Rezucha 1962)."""
    chosen = np.zeros(indptr[-1], np.bool_)
    for row in range(keys.size):
        n_left = indptr[row + 1] - indptr[row]
        n_wanted = int(n_left * ratio)
        for k in range(indptr[row], indptr[row + 1]):
            if unit_float(mix(keys[row], np.uint64(indices[k]))) * n_left < n_wanted:
                chosen[k] = True
                n_wanted -= 1
            n_left -= 1
    return chosen
