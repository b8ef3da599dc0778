"""Values hidden from a model that learns to predict them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._arguments import array, finite, flag, number, whole
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.collections import MultiIndexable
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.row_keys import RowKeys
from scdataset.transforms.base import Transform
from scdataset.transforms.matrices import (
    Csr,
    Matrix,
    as_canonical_csr,
    as_floats,
    is_anndata,
    is_sparse,
    matrix_of,
    with_data,
    with_members,
)
from scdataset.transforms.random_kernels import choose_exactly, choose_independently
from scdataset.transforms.row_keys import checked_keys, drawn
from scdataset.transforms.values import check_values

__all__ = ["MaskValues"]


@dataclass(frozen=True, eq=False)
class MaskValues(Transform):
    """Put ``mask_value`` in place of some values of every cell, beside the values themselves.

    A batch gets ``masked_values`` beside the ``values`` of a `GeneSentence`, of which padding and special tokens are
    never masked; or ``masked_X`` beside X, of which zeros are never masked. Those that equal ``mask_value`` are the
    ones to predict. AnnData becomes a `MultiIndexable` of X and ``masked_X``, and a matrix a masked matrix.

    Parameters
    ----------
    ratio
        Share of the values, from 0 to 1.
    exact
        Whether to mask exactly ``int(n * ratio)`` of the ``n`` values of every cell; else each is masked with
        probability ``ratio``.
    mask_value
        Value in place of those that are masked, which no value of a cell has, nor the padding of a sentence.
    stream
        Another number gives another mask, such as that of a second view of the same cells.

    Examples
    --------
    >>> masked = MaskValues(0.5, exact=True)(np.array([[7, 8, 9, 0, 6]]), RowKeys([3], seed=0, epoch=0))
    >>> int((masked == -1).sum()), int(masked[0, 3])
    (2, 0)
    """

    ratio: float = 0.15
    exact: bool = False
    mask_value: float = -1
    stream: int = 0

    runs_ahead = True
    needs_keys = True

    def __post_init__(self) -> None:
        finite("mask_value", self.mask_value)
        if not 0 <= number("ratio", self.ratio) <= 1:
            message = f"ratio={self.ratio}; give the share of values to mask, from 0 to 1."
            raise ArgumentValueError(message)
        flag("exact", self.exact)
        whole("stream", self.stream, minimum=0)

    def __call__(self, value: object, keys: RowKeys | None = None) -> Any:
        """Return ``value`` with masked values: a `MultiIndexable`, also of AnnData, a dict, CSR or an array.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If it is something else, has missing values or some that equal ``mask_value``, or the keys of its rows are
            not given.
        """
        if not isinstance(value, (MultiIndexable, Mapping)) and not is_anndata(value):
            return self._of_matrix(matrix_of(value, "MaskValues"), keys)
        if not is_anndata(value) and "values" in value:
            return with_members(value, {"masked_values": self._of_sentences(value, keys)})
        return with_members(value, {"masked_X": self._of_matrix(matrix_of(value, "MaskValues"), keys)})

    def _of_matrix(self, matrix: Matrix, keys: RowKeys | None) -> object:
        rows = as_canonical_csr(matrix)
        check_values("MaskValues", rows, "finite numbers", remedy="Leave those cells out.")
        data = self._holding_mask_value(rows.data)
        masked = with_data(rows, np.where(self._chosen(rows, keys), data.dtype.type(self.mask_value), data))
        return masked if is_sparse(matrix) else masked.toarray()

    def _of_sentences(self, batch: Any, keys: RowKeys | None) -> Array:
        values = array("values", batch["values"], "numbers of shape (n_cells, length)")
        if values.ndim != 2:
            message = f"values has shape {values.shape}; give those of sentences, shape (n_cells, length)."
            raise ArgumentTypeError(message)
        special = self._special_tokens(batch, values.shape)
        check_values("MaskValues", values, "finite numbers", remedy="Leave those cells out.")
        may = scipy.sparse.csr_array(np.ones(values.shape, np.bool_) if special is None else ~special)
        chosen = with_data(may, self._chosen(may, keys)).toarray()
        masked = self._holding_mask_value(values).copy()
        masked[chosen] = self.mask_value
        return masked

    def _special_tokens(self, batch: Any, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        if "special_tokens_mask" not in batch:
            return None
        special = array("special_tokens_mask", batch["special_tokens_mask"], f"booleans of shape {shape}", "b")
        if special.shape != shape:
            message = f"special_tokens_mask has shape {special.shape} and values {shape}; give one boolean a value."
            raise ArgumentValueError(message)
        return special

    def _chosen(self, rows: Csr, keys: RowKeys | None) -> NDArray[np.bool_]:
        """Return which of the stored values are masked."""
        choose = choose_exactly if self.exact else choose_independently
        drawn_keys = drawn(checked_keys(self, keys, rows.shape[0]), "mask", self.stream)
        return choose(rows.indices, rows.indptr, drawn_keys, float(self.ratio))

    def _holding_mask_value(self, values: Array) -> Array:
        """Return values in a type that has the mask value: floats, where integers do not; raise if one equals it."""
        n_equal = int(np.count_nonzero(values == self.mask_value))
        if n_equal:
            message = (
                f"MaskValues got {counted(n_equal, 'value')} of mask_value={self.mask_value}, which no model can tell "
                "from masked ones; give a mask_value that no value and no padding has."
            )
            raise ArgumentValueError(message)
        if values.dtype.kind in "iu":
            bounds = np.iinfo(values.dtype)
            if self.mask_value != int(self.mask_value) or not bounds.min <= self.mask_value <= bounds.max:
                floats: Array = as_floats(values)
                return floats
        return values
