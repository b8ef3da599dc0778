"""Normalised, logged, scaled and clipped counts, as by scanpy's ``pp``, on windows and batches."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.kernels import divide_rows, sum_rows
from scdataset.transforms.matrices import Matrix, MatrixTransform, as_floats, is_sparse, with_data

__all__ = ["Clip", "Log1p", "NormalizeTotal", "Scale"]


@dataclass(frozen=True)
class NormalizeTotal(MatrixTransform):
    """Divide the counts of every cell so that they add up to ``target_sum``, as ``scanpy.pp.normalize_total`` does.

    Parameters
    ----------
    target_sum
        Sum of the counts of a cell afterwards. scanpy's None, the median over all cells, depends on what is in a
        batch: compute it once, over the training cells, and give it here.
    key
        Modality that has the total counts of each cell, such as those over all genes where X has only some; None for
        the sum of its row of X.

    Examples
    --------
    >>> NormalizeTotal(10)(np.array([[1, 1], [0, 0], [2, 6]]))
    array([[5. , 5. ],
           [0. , 0. ],
           [2.5, 7.5]], dtype=float32)
    """

    target_sum: float = 1e4
    key: str | None = None

    def __post_init__(self) -> None:
        _check_positive("target_sum", self.target_sum)

    def of_matrix(self, matrix: Matrix, value: Any) -> Matrix:
        """Return counts divided by their sum and times ``target_sum``; integers become float32."""
        data = as_floats(matrix)
        totals = self._totals(matrix, data, value).astype(data.dtype) / data.dtype.type(self.target_sum)
        totals[totals == 0] = 1
        if not is_sparse(matrix):
            return data / totals[:, None]
        return with_data(matrix, divide_rows(data, matrix.indptr, totals))

    def _totals(self, matrix: Matrix, data: NDArray[Any], value: Any) -> NDArray[Any]:
        if self.key is not None:
            totals = self._given(value, matrix.shape[0])
        elif is_sparse(matrix):
            totals = sum_rows(data, matrix.indptr)
        else:
            totals = data.sum(axis=1, dtype=np.float64)
        if totals.size and not totals.min() >= 0:
            row = int(np.argmin(np.where(np.isnan(totals), -np.inf, totals)))
            message = (
                f"NormalizeTotal needs counts, and those of row {row} of the batch add up to {totals[row]}; give "
                "counts that are not negative and not missing."
            )
            raise ArgumentValueError(message)
        return totals

    def _given(self, value: Any, n_cells: int) -> NDArray[np.float64]:
        """Return the total counts that come with the cells."""
        beside = value if hasattr(value, "keys") else getattr(value, "obs", {})
        if self.key not in beside:
            message = f"NormalizeTotal: there is no {self.key!r} beside X; there are {list(beside.keys())}."
            raise ArgumentValueError(message)
        totals = np.asarray(beside[self.key], np.float64)
        if totals.shape != (n_cells,):
            message = (
                f"NormalizeTotal: {self.key!r} has shape {totals.shape}; give one number for each of {n_cells} cells."
            )
            raise ArgumentValueError(message)
        return totals


@dataclass(frozen=True)
class Log1p(MatrixTransform):
    """Take log(1 + x) of every value, as ``scanpy.pp.log1p`` does.

    Parameters
    ----------
    base
        Base of the logarithm; None for e.

    Examples
    --------
    >>> Log1p(base=2)(np.array([[0, 1, 3]]))
    array([[0., 1., 2.]], dtype=float32)
    """

    base: float | None = None

    def __post_init__(self) -> None:
        if self.base is not None:
            _check_positive("base", self.base)
            if self.base == 1:
                message = "base=1 is the base of no logarithm; give 2, 10 or None for e."
                raise ArgumentValueError(message)

    def of_matrix(self, matrix: Matrix, value: Any) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return the logarithms; integers become float32."""
        data = as_floats(matrix)
        if data.size and not data.min() > -1:
            message = (
                f"Log1p got values from {data.min()}; it takes numbers above -1, such as counts and normalised counts. "
                "Scaled values have no logarithm."
            )
            raise ArgumentValueError(message)
        logs = np.log1p(data)
        if self.base is not None:
            logs /= np.log(self.base)
        return with_data(matrix, logs)


@dataclass(frozen=True)
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
        if self.minimum is None and self.maximum is None:
            message = "Clip has neither minimum nor maximum; give one of them."
            raise ArgumentValueError(message)
        if self.minimum is not None and self.maximum is not None and not self.minimum <= self.maximum:
            message = f"minimum={self.minimum} is above maximum={self.maximum}."
            raise ArgumentValueError(message)

    def of_matrix(self, matrix: Matrix, value: Any) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return the values, none of them beyond the bounds."""
        if not is_sparse(matrix):
            return matrix.clip(self.minimum, self.maximum)
        if (self.minimum or 0) > 0 or (self.maximum or 0) < 0:
            message = (
                f"Clip(minimum={self.minimum}, maximum={self.maximum}) would change the zeros of a sparse matrix; give "
                "bounds with zero between them, or a dense matrix."
            )
            raise ArgumentValueError(message)
        return with_data(matrix, matrix.data.clip(self.minimum, self.maximum))


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

    def __init__(
        self, mean: ArrayLike, std: ArrayLike, *, zero_center: bool = True, max_value: float | None = None
    ) -> None:
        self.mean, self.std = _per_gene("mean", mean), _per_gene("std", std)
        if self.mean.shape != self.std.shape:
            message = f"mean has {self.mean.size} genes and std {self.std.size}; give one number a gene in both."
            raise ArgumentValueError(message)
        if self.std.size and self.std.min() < 0:
            message = f"std has values from {self.std.min()}; a standard deviation is at least 0."
            raise ArgumentValueError(message)
        if max_value is not None:
            _check_positive("max_value", max_value)
        self.zero_center, self.max_value = zero_center, max_value

    def __repr__(self) -> str:
        genes = f"<{self.mean.size} genes>"
        return f"Scale(mean={genes}, std={genes}, zero_center={self.zero_center}, max_value={self.max_value})"

    def of_matrix(self, matrix: Matrix, value: Any) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return the scaled values; integers become float32."""
        if matrix.shape[1] != self.mean.size:
            message = f"Scale has the mean of {self.mean.size} genes, and X has {matrix.shape[1]}; give those of X."
            raise ArgumentValueError(message)
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
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "fiu" or numbers.ndim != 1:
        message = f"{name} has shape {numbers.shape} and dtype {numbers.dtype}; give one number a gene."
        raise ArgumentTypeError(message)
    if not np.isfinite(numbers).all():
        message = f"{name} has {np.count_nonzero(~np.isfinite(numbers))} values that are not finite."
        raise ArgumentValueError(message)
    return numbers.astype(np.float64)


def _check_positive(name: str, number: float) -> None:
    if isinstance(number, (bool, np.bool_)) or not isinstance(number, (int, float, np.integer, np.floating)):
        message = f"{name}={number!r} is of type {type(number).__name__}; give a number."
        raise ArgumentTypeError(message)
    if not (number > 0 and math.isfinite(number)):
        message = f"{name}={number}; give a finite number above 0."
        raise ArgumentValueError(message)
