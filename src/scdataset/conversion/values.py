"""The type that values are stored in: checked, never cast."""

from dataclasses import dataclass

import numpy as np

from scdataset._types import Array, DType
from scdataset.errors import ArgumentValueError

__all__ = ["ValueRange", "exactly"]

_LARGEST = int(np.iinfo(np.uint32).max)
"""Larger counts stay as they are: of 64 bits nothing is saved."""


@dataclass(slots=True)
class ValueRange:
    """Type and range of the values of a matrix.

    Attributes
    ----------
    dtype
        Type that they are read in.
    are_counts
        Whether all are whole numbers from 0 to 2**32 - 1.
    largest
        The largest, if they are counts.
    """

    dtype: DType
    are_counts: bool = True
    largest: int = 0

    def add(self, values: Array) -> None:
        """Include more values in the range."""
        if not self.are_counts or not values.size:
            return
        least, most = values.min(), values.max()
        self.are_counts = bool(least >= 0 and most <= _LARGEST) and (  # NaN fails both
            values.dtype.kind in "ub" or bool(np.all(values == np.trunc(values)))
        )
        self.largest = max(self.largest, int(most)) if self.are_counts else 0

    @property
    def narrowest(self) -> DType:
        """The narrowest unsigned type that holds all values, or the type that they have."""
        if not self.are_counts or self.dtype.kind == "b":
            return self.dtype
        narrow = np.min_scalar_type(self.largest)
        return narrow if narrow.itemsize < self.dtype.itemsize or self.dtype.kind != "u" else self.dtype


def exactly(name: str, values: Array, dtype: DType) -> Array:
    """Return values in another type.

    Raises
    ------
    ArgumentValueError
        If the type does not hold them all.
    """
    if values.dtype == dtype:
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        converted = values.astype(dtype)
        # There and back again, and with the same sign: -1 comes back from unsigned types as well.
        same = (converted.astype(values.dtype) == values) & ((converted < 0) == (values < 0))
    if dtype.kind == values.dtype.kind == "f":
        same |= np.isnan(values)
    if not np.all(same):
        wrong = values.reshape(-1)[np.argmin(same)].item()
        message = f"{name} has the value {wrong}, which {dtype} does not hold; leave dtype out for a type that does."
        raise ArgumentValueError(message)
    return converted
