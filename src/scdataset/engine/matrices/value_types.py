"""The type to which the values of a matrix are converted."""

import numpy as np
from numpy.typing import DTypeLike

from scdataset._tables import counted
from scdataset._types import Array, DType
from scdataset.engine.matrices.parts import MatrixRows
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["converted", "delivered_type"]


def delivered_type(kind: str, wanted: DTypeLike) -> DType:
    """Return the type to which the values of a matrix are converted.

    Parameters
    ----------
    kind
        ``"CSR"`` or ``"dense"``.
    wanted
        The type, as numpy understands it.

    Raises
    ------
    ArgumentTypeError
        If it is no type.
    ArgumentValueError
        If it is not one of real numbers, or not one that a matrix of the kind can have.
    """
    advice = 'give a type such as "float32", or None for the stored type.'
    try:
        dtype: DType = np.dtype(wanted)
    except (TypeError, ValueError) as error:  # numpy raises either, by the kind of object
        message = f"dtype={wanted!r} is not a type of numbers; {advice}"
        raise ArgumentTypeError(message) from error
    if dtype.kind not in "iufb" or not dtype.isnative:
        message = f"dtype={wanted!r} has to be of real numbers in the byte order of this machine; {advice}"
        raise ArgumentValueError(message)
    if kind == "CSR" and dtype == np.float16:
        message = f"dtype={wanted!r} is for dense values: scipy has no sparse matrices of float16; {advice}"
        raise ArgumentValueError(message)
    return dtype


def converted(matrix: MatrixRows, dtype: "DType") -> MatrixRows:
    """Return a matrix, CSR or dense, with its values in another type.

    Raises
    ------
    ArgumentValueError
        If the type is one of integers, and they would differ from the values: fractions, missing ones, or numbers
        beyond its bounds.
    """
    values: Array = matrix if isinstance(matrix, np.ndarray) else matrix.data
    if dtype.kind in "iu" and not np.can_cast(values.dtype, dtype):
        with np.errstate(invalid="ignore"):  # of missing values, which the comparison finds
            differ = values.astype(dtype) != values
        if differ.any():
            message = (
                f"dtype={dtype.name!r} would change {np.count_nonzero(differ):,} of {counted(differ.size, 'value')} "
                f"that were read, such as {values[differ][0]}; give a type that holds them, or None for the stored "
                "type."
            )
            raise ArgumentValueError(message)
    return matrix.astype(dtype, copy=False)
