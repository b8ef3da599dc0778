"""Refusal of values that a transform does not take, with their number and the place of the first."""

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.errors import ArgumentValueError
from scdataset.transforms.hypergeometric import first_uncountable
from scdataset.transforms.matrices import Matrix

__all__ = ["check_counts", "check_values"]

_COUNTS = 'open_collection(...).value_kind() says what a file has; layer="raw" is often counts.'


def check_values(asked_by: str, matrix: Matrix, takes: str, *, least: float = -np.inf, remedy: str = _COUNTS) -> None:
    """Raise if a value is missing, infinite or below ``least``.

    Parameters
    ----------
    asked_by
        The transform, for errors.
    matrix
        CSR or a dense array.
    takes
        The values that it takes, in words.
    remedy
        What to do with others.
    """
    data = _stored(matrix)
    if data.size and not (least <= data.min() and -np.inf < data.min() <= data.max() < np.inf):
        _refuse(asked_by, matrix, ~(np.isfinite(data) & (data >= least)), takes, remedy)


def check_counts(asked_by: str, matrix: Matrix) -> None:
    """Raise if a value is no whole number of at least 0 and below 2**53."""
    data = _stored(matrix)
    if first_uncountable(data.ravel()) >= 0:
        with np.errstate(invalid="ignore"):
            sound = (data >= 0) & (data < 2.0**53) & (data == np.floor(data))
        _refuse(asked_by, matrix, ~sound, "counts, which are whole numbers and not negative", _COUNTS)


def _stored(matrix: Matrix) -> Array:
    """Return the values of a dense array, or those that CSR stores in its rows."""
    data: Array = matrix if isinstance(matrix, np.ndarray) else matrix.data[: matrix.indptr[-1]]
    return data


def _refuse(asked_by: str, matrix: Matrix, wrong: NDArray[np.bool_], takes: str, remedy: str) -> None:
    place = int(np.argmax(wrong.ravel()))
    value = _stored(matrix).ravel()[place]
    if isinstance(matrix, np.ndarray):
        row, gene = divmod(place, matrix.shape[1])
    else:
        row, gene = int(np.searchsorted(matrix.indptr, place, side="right")) - 1, int(matrix.indices[place])
    n_wrong = int(np.count_nonzero(wrong))
    message = (
        f"{asked_by} takes {takes}, and {n_wrong:,} of {counted(wrong.size, 'value')} {verb(n_wrong, 'are')} none, "
        f"such as {value} in row {row} and column {gene} of the batch. {remedy}"
    )
    raise ArgumentValueError(message)
