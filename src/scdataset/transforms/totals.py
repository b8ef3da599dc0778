"""Total counts of cells: those that come with a batch, or the sums of its rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import array
from scdataset._tables import counted
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.kernels import sum_rows
from scdataset.transforms.matrices import Matrix, as_floats, is_sparse

__all__ = ["AUTO", "checked_key", "key_of_totals", "total_counts"]

AUTO = "auto"

_TOTALS = "total_counts"
"""Name of the total counts that ``open_collection(row_sums=True)`` gives."""


def checked_key(key: str | None) -> str | None:
    """Return the name of total counts if it is one, or None."""
    if key is not None and not isinstance(key, str):
        message = f"key={key!r} is of type {type(key).__name__}; give the name of the total counts, 'auto' or None."
        raise ArgumentTypeError(message)
    return key


def key_of_totals(value: Any, key: str | None) -> str | None:
    """Return the name of the total counts that are beside X; None for the sums of its rows."""
    if key != AUTO:
        return key
    return _TOTALS if hasattr(value, "keys") and _TOTALS in value else None


def total_counts(asked_by: str, matrix: Matrix, value: object, key: str | None) -> NDArray[np.float64]:
    """Return the total counts of each cell, shape ``(n_cells,)``: those named ``key``, or the sums of rows of X.

    Parameters
    ----------
    asked_by
        The transform, for errors.
    matrix
        X of ``value``.
    """
    name = key_of_totals(value, key)
    if name is not None:
        totals = _given(asked_by, value, name, matrix.shape[0])
    elif is_sparse(matrix):
        totals = sum_rows(as_floats(matrix), matrix.indptr)
    else:
        totals = as_floats(matrix).sum(axis=1, dtype=np.float64)
    sound = (totals >= 0) & (totals < np.inf)
    if not sound.all():
        row = int(np.argmin(sound))
        message = (
            f"{asked_by}: the total counts of row {row} of the batch are {totals[row]}; give finite numbers, none "
            "negative or missing."
        )
        raise ArgumentValueError(message)
    return totals


def _given(asked_by: str, value: Any, key: str, n_cells: int) -> NDArray[np.float64]:
    """Return the total counts that come with the cells."""
    beside = value if hasattr(value, "keys") else getattr(value, "obs", {})
    if key not in beside:
        message = f"{asked_by}: there is no {key!r} beside X; there are {list(beside.keys())}."
        raise ArgumentValueError(message)
    totals = array(f"{asked_by}: {key!r}", beside[key], "the total counts of each cell")
    if totals.shape != (n_cells,):
        message = (
            f"{asked_by}: {key!r} has shape {totals.shape}; give one number for each of {counted(n_cells, 'cell')}."
        )
        raise ArgumentValueError(message)
    return totals.astype(np.float64)
