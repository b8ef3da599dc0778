"""Values of a batch as torch tensors on a device."""

import warnings
from typing import Any, cast

import numpy as np
import scipy.sparse
import torch

from scdataset._types import Array
from scdataset.errors import ArgumentTypeError

__all__ = ["as_tensor", "csr_tensor"]


def as_tensor(name: str | int, value: object) -> Any:
    """Return an array, a list of numbers or a sparse matrix as a tensor that shares its memory where it can.

    Parameters
    ----------
    name
        The modality, for messages.
    value
        Anything with ``to`` and None are returned as they are; a sparse matrix of any format becomes a CSR tensor.

    Raises
    ------
    ArgumentTypeError
        For strings, objects, frames and whatever else has no tensor.
    """
    if value is None or hasattr(value, "to"):
        return value
    if scipy.sparse.issparse(value):
        return _sparse(cast("scipy.sparse.csr_matrix", value).tocsr())
    try:
        array = None if hasattr(value, "columns") else np.asarray(value)
    except ValueError:  # lists of different lengths
        array = None
    if array is None or array.dtype.kind not in "biufc":
        kind = type(value).__qualname__ if array is None else f"{type(value).__qualname__} of {array.dtype}"
        message = (
            f"Modality {name!r} is a {kind}, which no device takes. Turn it into numbers in a batch_transform (such as "
            f"the codes of a Categorical), or move the others alone: batch[name].to(device)."
        )
        raise ArgumentTypeError(message)
    return _strided(array)


def _sparse(matrix: scipy.sparse.csr_matrix) -> torch.Tensor:
    if not matrix.has_canonical_format:  # torch takes sorted columns, each once in a row
        matrix = matrix.copy()
        matrix.sum_duplicates()
    pointers, columns, values = map(_strided, (matrix.indptr, matrix.indices, matrix.data))
    return csr_tensor(pointers, columns, values, matrix.shape, check_invariants=True)


def csr_tensor(
    pointers: torch.Tensor,
    columns: torch.Tensor,
    values: torch.Tensor,
    shape: tuple[int, int],
    *,
    check_invariants: bool,
) -> torch.Tensor:
    """Return a CSR tensor, without torch's warnings about those."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse (CSR tensor support|invariant checks)", UserWarning)
        return torch.sparse_csr_tensor(
            pointers, columns, values, shape, device=values.device, check_invariants=check_invariants
        )


def _strided(array: Array) -> torch.Tensor:
    """Return an array as a tensor; a copy unless it is of native byte order, contiguous and writable."""
    return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
