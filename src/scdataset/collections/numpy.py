"""numpy arrays and memmaps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex

__all__ = ["adapt", "take"]


def adapt(source: Any) -> InMemory | None:
    """Adapt arrays with at least one axis; rows of a memmap are read into ordinary arrays."""
    return InMemory(source) if isinstance(source, np.ndarray) and source.ndim else None


def take(value: NDArray[Any], rows: RowIndex) -> NDArray[Any]:
    """Take rows: a view for a slice, new memory otherwise."""
    if isinstance(rows, slice):
        return value[rows]
    plain = value.view(np.ndarray) if isinstance(value, np.memmap) else value
    return plain.take(rows, axis=0) if type(plain) is np.ndarray else plain[rows]
