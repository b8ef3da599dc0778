"""Refusal of values that a statistic does not take."""

import numpy as np

from scdataset._tables import counted, verb
from scdataset.errors import ArgumentValueError
from scdataset.transforms.matrices import Csr

__all__ = ["check_counts", "check_fractional", "check_not_negative"]

_LOOKED_AT = 1 << 16
"""Values that tell counts from logarithms: the first of a window."""


def check_not_negative(matrix: Csr, needed_by: str) -> None:
    """Raise if a value is negative, missing or infinite.

    Parameters
    ----------
    matrix
        CSR.
    needed_by
        Whatever takes no such values, for the error.
    """
    data = matrix.data
    if not data.size or (data.min() >= 0 and data.max() < np.inf):
        return
    n_missing = int(data.size - np.isfinite(data).sum())
    found = f"{n_missing} that are missing or infinite" if n_missing else f"values from {data.min()}"
    message = (
        f"{needed_by} takes numbers that are not negative, and there are {found}. Scaled values will not do; counts "
        'are often kept as open_collection(..., layer="raw") or layer="counts".'
    )
    raise ArgumentValueError(message)


def check_counts(matrix: Csr, needed_by: str) -> None:
    """Raise if a value is negative, missing or no whole number."""
    check_not_negative(matrix, needed_by)
    data = matrix.data
    fractional = np.flatnonzero(data != np.rint(data))
    if fractional.size:
        message = (
            f"{needed_by} takes counts, and {fractional.size:,} of {counted(data.size, 'value')} "
            f"{verb(fractional.size, 'are')} not whole, such as {data[fractional[0]]}. "
            'Counts are often kept as open_collection(..., layer="raw") or layer="counts"; '
            "check_values=False takes these values as they are."
        )
        raise ArgumentValueError(message)


def check_fractional(matrix: Csr, needed_by: str) -> None:
    """Raise if the values are counts where logarithms are needed."""
    data = matrix.data[:_LOOKED_AT]
    if np.any(data) and np.array_equal(data, np.rint(data)):
        message = (
            f"{needed_by} takes logarithms of normalised counts, and all values are whole numbers, as counts are. Give "
            'flavor="seurat_v3", which takes counts, or a file of logarithms; check_values=False takes these values as '
            "they are."
        )
        raise ArgumentValueError(message)
