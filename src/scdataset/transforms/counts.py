"""Normalised, logged, scaled and clipped counts, as by scanpy's ``pp``, on windows and batches."""

import math
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array, flag, number, positive
from scdataset._tables import counted, verb
from scdataset._types import DType
from scdataset.collections.values import are_logarithms
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.kernels import divide_rows
from scdataset.transforms.matrices import Matrix, MatrixTransform, ValueTransform, as_floats, is_sparse, with_data
from scdataset.transforms.totals import AUTO, checked_key, total_counts
from scdataset.transforms.values import check_values

__all__ = ["Clip", "Log1p", "NormalizeTotal", "Scale"]

_LEAVE_OUT = "Leave those cells or genes out, or replace the values before."


@dataclass(frozen=True, eq=False)
class NormalizeTotal(ValueTransform):
    """Divide the counts of every cell so that they add up to ``target_sum``, as ``scanpy.pp.normalize_total`` does.

    Parameters
    ----------
    target_sum
        Sum of the counts of a cell afterwards; None for the median of ``library_sizes``.
    key
        Modality that has the total counts of each cell, such as those over all genes where X has only some.
        ``"auto"`` takes ``"total_counts"`` if a batch has it, as with ``open_collection(row_sums=True)``, and otherwise
        the sum of its row of X, as it does for AnnData. None is always that sum.
    library_sizes
        Total counts of cells, of which the median over those that are not empty is the ``target_sum``, as scanpy has
        it: those of the training cells, by `scdataset.pp.library_sizes`.

    Examples
    --------
    >>> NormalizeTotal(10)(np.array([[1, 1], [0, 0], [2, 6]]))
    array([[5. , 5. ],
           [0. , 0. ],
           [2.5, 7.5]], dtype=float32)
    >>> NormalizeTotal(None, library_sizes=[8, 0, 2])
    NormalizeTotal(target_sum=5.0, key='auto')
    """

    target_sum: float | None = 1e4
    key: str | None = AUTO
    library_sizes: InitVar[ArrayLike | None] = None

    def __post_init__(self, library_sizes: ArrayLike | None) -> None:
        checked_key(self.key)
        if self.target_sum is None:
            self._set(target_sum=_median_size(library_sizes))
        elif library_sizes is not None:
            message = f"target_sum={self.target_sum!r} and library_sizes; give target_sum=None for their median."
            raise ArgumentValueError(message)
        else:
            positive("target_sum", self.target_sum)

    def of_matrix(self, matrix: Matrix, value: object) -> Matrix:
        """Return counts divided by their sum and times ``target_sum``; integers become float32."""
        check_values("NormalizeTotal", matrix, "counts, which are finite and not negative", least=0)
        data = as_floats(matrix)
        if are_logarithms(matrix):
            message = (
                "NormalizeTotal needs counts, and got logarithms. Leave it and Log1p out, "
                'or open the counts, which are often layer="raw" or layer="counts".'
            )
            raise ArgumentValueError(message)
        wide = np.promote_types(data.dtype, np.float32)  # totals above 65,504 are infinite in half precision
        totals = total_counts("NormalizeTotal", matrix, value, self.key).astype(wide)
        totals /= wide.type(self.target_sum)
        totals[totals == 0] = 1
        shares = self.memory_for(data)
        if is_sparse(matrix):
            divide_rows(data, matrix.indptr, totals, shares)
        else:
            np.divide(data, totals[:, None], out=shares, casting="same_kind")
        return with_data(matrix, shares)


def _median_size(library_sizes: ArrayLike | None) -> float:
    """Return the median of the sizes above 0."""
    if library_sizes is None:
        message = (
            "target_sum=None is the median over all cells, which a batch does not know; give it "
            "library_sizes=scdataset.pp.library_sizes(cells), or a number as target_sum."
        )
        raise ArgumentValueError(message)
    sizes = array("library_sizes", library_sizes, "total counts of cells")
    filled = sizes[sizes > 0].astype(np.float64)
    if sizes.ndim != 1 or not filled.size or not np.isfinite(sizes).all():
        message = (
            f"library_sizes has shape {sizes.shape} and {counted(filled.size, 'value')} above 0; give total counts of "
            "cells."
        )
        raise ArgumentValueError(message)
    return float(np.median(filled))


_ABOVE_MINUS_1 = float(np.nextafter(-1, 0))


@dataclass(frozen=True, eq=False)
class Log1p(ValueTransform):
    """Take log(1 + x) of every value, as ``scanpy.pp.log1p`` does.

    Parameters
    ----------
    base
        Base of the logarithm; None for e.

    Raises
    ------
    ArgumentValueError
        If values are -1 and less, missing, infinite, or beyond doubt logarithms already.

    Examples
    --------
    >>> Log1p(base=2)(np.array([[0, 1, 3]]))
    array([[0., 1., 2.]], dtype=float32)
    """

    base: float | None = None

    def __post_init__(self) -> None:
        if self.base is not None:
            positive("base", self.base)
            if self.base == 1:
                message = "base=1 is the base of no logarithm; give 2, 10 or None for e."
                raise ArgumentValueError(message)

    def of_matrix(self, matrix: Matrix, value: object) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return the logarithms; integers become float32."""
        takes = "finite numbers above -1, such as counts and normalised counts"
        check_values("Log1p", matrix, takes, least=_ABOVE_MINUS_1, remedy="Scaled values have no logarithm.")
        data = as_floats(matrix)
        if are_logarithms(matrix):
            message = (
                "Log1p got values that were logged already: the sums of exp(x) - 1 of these cells are all the same. "
                'Leave Log1p out, or open the counts, which are often layer="raw" or layer="counts".'
            )
            raise ArgumentValueError(message)
        logs = np.log1p(data, out=self.memory_for(data))
        if self.base is not None:
            logs /= np.log(self.base)
        return with_data(matrix, logs)


@dataclass(frozen=True, eq=False)
class Clip(MatrixTransform):
    """Keep values between ``minimum`` and ``maximum``.

    Parameters
    ----------
    minimum, maximum
        Bounds; None for no bound. The zeros of a sparse matrix have to lie between them.
    """

    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        for name in ("minimum", "maximum"):
            if getattr(self, name) is not None:
                _bound(name, getattr(self, name))
        if self.minimum is None and self.maximum is None:
            message = "Clip has neither minimum nor maximum; give one of them."
            raise ArgumentValueError(message)
        if self.minimum is not None and self.maximum is not None and not self.minimum <= self.maximum:
            message = f"minimum={self.minimum} is above maximum={self.maximum}."
            raise ArgumentValueError(message)

    def of_matrix(self, matrix: Matrix, value: object) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return the values, none of them beyond the bounds; integers that cannot be the bounds become float32."""
        if is_sparse(matrix) and ((self.minimum or 0) > 0 or (self.maximum or 0) < 0):
            message = (
                f"Clip(minimum={self.minimum}, maximum={self.maximum}) would change the zeros of a sparse matrix; give "
                "bounds with zero between them, or a dense matrix."
            )
            raise ArgumentValueError(message)
        data: Any = matrix.data if is_sparse(matrix) else matrix
        if not all(bound is None or _holds(data.dtype, bound) for bound in (self.minimum, self.maximum)):
            data = as_floats(matrix)
        clipped = with_data(matrix, data.clip(self.minimum, self.maximum))
        check_values("Clip", clipped, "finite numbers, or infinite ones beyond a bound", remedy=_LEAVE_OUT)
        return clipped


def _bound(name: str, value: object) -> None:
    if math.isnan(number(name, value)):
        message = f"{name}={value}; give a number, or None for no bound."
        raise ArgumentValueError(message)


def _holds(dtype: DType, bound: float) -> bool:
    """Tell whether a bound is a value of a type."""
    if dtype.kind not in "iu":
        return dtype.kind == "f"
    return np.iinfo(dtype).min <= bound <= np.iinfo(dtype).max and float(bound).is_integer()


@dataclass(frozen=True, init=False, eq=False)
class Scale(MatrixTransform):
    """Bring every gene to mean 0 and standard deviation 1, as ``scanpy.pp.scale`` does.

    Parameters
    ----------
    mean, std
        Of every gene, over the training cells; shape ``(n_vars,)``. A standard deviation of 0 counts as 1.
    zero_center
        Whether to subtract the mean, which makes a sparse matrix dense.
    max_value
        Largest value, and with ``zero_center`` its negative the smallest; None for no bound.

    Examples
    --------
    >>> Scale(mean=[1, 2], std=[1, 4])(np.array([[2.0, 10.0]]))
    array([[1., 2.]])
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    zero_center: bool
    max_value: float | None

    def __init__(
        self, mean: ArrayLike, std: ArrayLike, *, zero_center: bool = True, max_value: float | None = None
    ) -> None:
        zero_center = flag("zero_center", zero_center)
        self._set(mean=_per_gene("mean", mean), std=_per_gene("std", std), zero_center=zero_center, max_value=max_value)
        if self.mean.shape != self.std.shape:
            message = (
                f"mean has {counted(self.mean.size, 'gene')} and std {self.std.size:,}; give one number a gene in both."
            )
            raise ArgumentValueError(message)
        if self.std.size and self.std.min() < 0:
            message = f"std has values from {self.std.min()}; a standard deviation is at least 0."
            raise ArgumentValueError(message)
        if max_value is not None:
            positive("max_value", max_value)

    def __repr__(self) -> str:
        genes = f"<{counted(self.mean.size, 'gene')}>"
        return f"Scale(mean={genes}, std={genes}, zero_center={self.zero_center}, max_value={self.max_value})"

    def of_matrix(self, matrix: Matrix, value: object) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return the scaled values; integers become float32."""
        if matrix.shape[1] != self.mean.size:
            message = (
                f"Scale has the mean of {counted(self.mean.size, 'gene')}, and X has {matrix.shape[1]:,}; give those "
                "of X."
            )
            raise ArgumentValueError(message)
        check_values("Scale", matrix, "finite numbers", remedy=_LEAVE_OUT)
        data = as_floats(matrix)
        std = np.where(self.std == 0, 1, self.std)
        if is_sparse(matrix) and not self.zero_center:
            scaled = (data / std[matrix.indices]).astype(data.dtype)
            return with_data(matrix, scaled if self.max_value is None else np.minimum(scaled, self.max_value))
        dense = with_data(matrix, data).toarray() if is_sparse(matrix) else data
        centred = (dense - self.mean).astype(data.dtype) if self.zero_center else dense  # rounded as scanpy does
        scaled = (centred / std).astype(data.dtype)
        if self.max_value is None:
            return scaled
        return scaled.clip(-self.max_value if self.zero_center else None, self.max_value)


def _per_gene(name: str, values: ArrayLike) -> NDArray[np.float64]:
    numbers = array(name, values, "one number a gene")
    if numbers.ndim != 1:
        message = f"{name} has shape {numbers.shape}; give one number a gene."
        raise ArgumentTypeError(message)
    n_wrong = int(np.count_nonzero(~np.isfinite(numbers)))
    if n_wrong:
        message = f"{name} has {counted(n_wrong, 'value')} that {verb(n_wrong, 'are')} not finite."
        raise ArgumentValueError(message)
    return numbers.astype(np.float64)
