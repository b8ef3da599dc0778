"""The matrix in a window or batch, and the same with another matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, overload

import numpy as np
import scipy.sparse

from scdataset._tables import counted
from scdataset._types import Array, RowData
from scdataset.collections import MultiIndexable
from scdataset.engine.buffers import BufferPool
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.base import Transform
from scdataset.transforms.kernels import is_canonical

if TYPE_CHECKING:
    import anndata
    from typing_extensions import TypeIs

__all__ = [
    "Csr",
    "Matrix",
    "MatrixTransform",
    "ValueTransform",
    "as_canonical_csr",
    "as_csr",
    "as_floats",
    "is_anndata",
    "is_sparse",
    "matrix_of",
    "with_data",
    "with_matrix",
    "with_members",
]

Csr: TypeAlias = scipy.sparse.csr_array | scipy.sparse.csr_matrix
"""A CSR matrix or array of `scipy.sparse`: cells x genes."""

Matrix: TypeAlias = Csr | Array
"""The same, or a two-dimensional numpy array."""


class MatrixTransform(Transform):
    """Base of transforms that change X and leave all else: call them on a window, on a batch or on a matrix.

    ``runs_ahead`` says that ``transform(window)`` touches nothing of the user's, so that, given as ``fetch_transform``
    of a collection that reads ahead, it is called in the background, while the model works.
    """

    runs_ahead = True

    def __call__(self, value: RowData) -> Any:
        """Return ``value`` with X changed: a `MultiIndexable`, a dict with ``"X"``, AnnData, CSR or a dense array.

        The given value is not changed.

        Raises
        ------
        ArgumentTypeError
            If it is something else.
        """
        return with_matrix(value, self.of_matrix(matrix_of(value, type(self).__name__), value))

    def of_matrix(self, matrix: Matrix, value: RowData) -> Matrix:
        """Return the new matrix in place of the one that ``value`` has or is."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class ValueTransform(MatrixTransform):
    """Base of transforms that change values and leave them where they are, in memory that is used again.

    For a window, fresh memory costs more in page faults than the arithmetic.
    """

    _buffers: BufferPool = field(default_factory=BufferPool, init=False, repr=False, compare=False)

    def memory_for(self, data: Array) -> Array:
        """Return an uninitialised array of the shape and dtype of ``data``."""
        return self._buffers.empty(data.size, data.dtype).reshape(data.shape)


def is_anndata(value: RowData) -> "TypeGuard[anndata.AnnData]":
    """Tell whether ``value`` is an AnnData, which need not be installed."""
    return any(
        cls.__module__.partition(".")[0] == "anndata" and cls.__name__ == "AnnData" for cls in type(value).__mro__
    )


def is_sparse(value: RowData) -> "TypeIs[Csr]":
    """Tell whether ``value`` is a sparse matrix or array of scipy."""
    return bool(scipy.sparse.issparse(value))


def matrix_of(value: RowData, asked_by: str) -> Matrix:
    """Return X of ``value``, or ``value`` itself if it is a matrix, as CSR or as a numpy array.

    Parameters
    ----------
    asked_by
        The transform, for errors.
    """
    if isinstance(value, (MultiIndexable, Mapping)):
        if "X" not in value:
            message = f"{asked_by} changes X, and there are {list(value.keys())}; give a batch that has X."
            raise ArgumentValueError(message)
        matrix = value["X"]
    else:
        matrix = value.X if is_anndata(value) else value
    is_array = isinstance(matrix, np.ndarray) and matrix.ndim == 2
    if (is_array or is_sparse(matrix)) and matrix.dtype.kind not in "fiub":
        message = f"{asked_by} takes numbers, and X has dtype {matrix.dtype}; give floats or integers."
        raise ArgumentTypeError(message)
    if is_sparse(matrix):
        return as_csr(matrix)
    if is_array:
        return np.asarray(matrix)  # not a view of AnnData
    shape = f" of shape {matrix.shape}" if hasattr(matrix, "shape") else ""
    message = (
        f"{asked_by} takes a sparse matrix or a two-dimensional numpy array, a MultiIndexable or dict with one as X, "
        f"or AnnData, and got a {type(matrix).__qualname__}{shape}. Transforms that give tensors come last."
    )
    raise ArgumentTypeError(message)


def as_csr(matrix: Csr) -> Csr:
    """Return a sparse matrix as CSR, whose row pointers compiled loops can follow.

    Raises
    ------
    ArgumentValueError
        If they cannot, as in a matrix that was put together from arrays that do not fit.
    """
    rows = matrix.tocsr()
    pointers = rows.indptr
    n_stored = min(rows.indices.size, rows.data.size)
    if (
        pointers.size != rows.shape[0] + 1
        or pointers[0] < 0
        or pointers[-1] > n_stored
        or (pointers[1:] < pointers[:-1]).any()
    ):
        message = (
            f"X is no CSR matrix: its row pointers do not ascend from 0 to the {counted(n_stored, 'stored value')}; "
            "matrix.check_format(full_check=True) says what is wrong with it."
        )
        raise ArgumentValueError(message)
    data = _in_machine_type(rows.data)
    if data is rows.data:
        return rows
    return type(rows)((data, rows.indices, rows.indptr), rows.shape)


def as_canonical_csr(matrix: Matrix) -> Csr:
    """Return a matrix as CSR whose rows have ascending columns, each once, and store no zeros.

    Raises
    ------
    ArgumentValueError
        If a column is none of the matrix.
    """
    rows = as_csr(matrix) if is_sparse(matrix) else _sparse(matrix)
    if rows.data.size == rows.indptr[-1] and is_canonical(rows.data, rows.indices, rows.indptr, rows.shape[1]):
        return rows
    rows = rows.copy()
    try:
        rows.check_format(full_check=True)
    except ValueError as error:
        message = f"X is no CSR matrix ({error}); matrix.check_format(full_check=True) says so too."
        raise ArgumentValueError(message) from error
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _sparse(matrix: Array) -> Csr:
    return scipy.sparse.csr_array(_in_machine_type(matrix))


def _in_machine_type(values: Array) -> Array:
    """Return values in a type that scipy and compiled loops take: not half floats, nor those of another byte order."""
    dtype = values.dtype.newbyteorder("=")
    if dtype.kind == "f":
        dtype = np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
    return values.astype(dtype, copy=False)


def with_members(value: Any, members: Mapping[str, RowData]) -> RowData:
    """Return a `MultiIndexable` or dict with some members more, or in place of those of the same name.

    AnnData becomes a `MultiIndexable` of its X and the members.
    """
    if is_anndata(value):
        return MultiIndexable({"X": value.X, **members})
    if isinstance(value, MultiIndexable):
        return MultiIndexable(dict(value.items()) | dict(members), unstructured=value.unstructured)
    return {**value, **members}


def with_matrix(value: RowData, matrix: RowData) -> RowData:
    """Return ``value`` with another X, over the same memory otherwise; the matrix where ``value`` is one."""
    if isinstance(value, (MultiIndexable, Mapping)):
        return with_members(value, {"X": matrix})
    if is_anndata(value):
        changed = value.copy()
        changed.X = matrix
        return changed
    return matrix


@overload
def with_data(matrix: Csr, data: Array) -> Csr: ...


@overload
def with_data(matrix: Matrix, data: Array) -> Matrix: ...


def with_data(matrix: Matrix, data: Array) -> Matrix:
    """Return a matrix with other values in the same places: those that are stored, of a sparse one."""
    return type(matrix)((data, matrix.indices, matrix.indptr), matrix.shape) if is_sparse(matrix) else data


def as_floats(matrix: Matrix) -> Array:
    """Return the values of a matrix, those that are stored of a sparse one, as floats: integers become float32."""
    data = matrix.data if is_sparse(matrix) else matrix
    return data if data.dtype.kind == "f" else data.astype(np.float32)
