"""A CSR matrix as three tensors, and the operations on it that run on a device."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch

from scdataset._properties import cached_property
from scdataset._tables import counted
from scdataset.collections.device import as_tensor, csr_tensor
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.compose import Compose
from scdataset.transforms.counts import Log1p, NormalizeTotal
from scdataset.transforms.matrices import Csr, as_csr
from scdataset.transforms.totals import key_of_totals

__all__ = ["CsrTensors", "changed_on_device", "steps_on_device"]


@dataclass(frozen=True)
class CsrTensors:
    """Rows of a sparse matrix, in memory or on a device."""

    pointers: torch.Tensor
    columns: torch.Tensor
    values: torch.Tensor
    shape: tuple[int, int]

    @classmethod
    def from_csr(cls, matrix: Csr) -> "CsrTensors":
        """Return the arrays of a matrix, after a check of its columns: a wrong number could stop a device for good."""
        rows = as_csr(matrix)
        first, last = int(rows.indptr[0]), int(rows.indptr[-1])
        columns = rows.indices[first:last]
        if columns.size and columns.view(f"u{columns.itemsize}").max() >= rows.shape[1]:  # or negative
            message = (
                f"X has column numbers from {columns.min()} to {columns.max()}, and {counted(rows.shape[1], 'column')}."
            )
            raise ArgumentValueError(message)
        pointers = rows.indptr.astype(np.int64) - first
        row_pointers, numbers, values = map(partial(as_tensor, "X"), (pointers, columns, rows.data[first:last]))
        return cls(row_pointers, numbers, values, rows.shape)

    @classmethod
    def from_tensor(cls, tensor: torch.Tensor) -> "CsrTensors":
        """Return the arrays of a CSR tensor."""
        n_rows, n_columns = tensor.shape
        return cls(tensor.crow_indices(), tensor.col_indices(), tensor.values(), shape=(n_rows, n_columns))

    @property
    def parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The three arrays."""
        return self.pointers, self.columns, self.values

    def with_parts(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "CsrTensors":
        """Return the same with other arrays."""
        return CsrTensors(change(self.pointers), change(self.columns), change(self.values), self.shape)

    @cached_property
    def rows(self) -> torch.Tensor:
        """The row of each value."""
        numbers = torch.arange(self.shape[0], device=self.values.device)
        return torch.repeat_interleave(numbers, self.pointers.diff(), output_size=self.values.numel())

    def dense(self, dtype: torch.dtype) -> torch.Tensor:
        """Return a dense tensor, where values of the same place are added up."""
        dense = torch.zeros(self.shape[0] * self.shape[1], dtype=dtype, device=self.values.device)
        return dense.index_add_(0, self.rows * self.shape[1] + self.columns, self.values.to(dtype)).view(self.shape)

    def tensor(self, dtype: torch.dtype) -> torch.Tensor:
        """Return a CSR tensor over memory of its own."""
        pointers = self.pointers.to(self.columns.dtype, copy=True)
        values = self.values.to(dtype, copy=True)
        return csr_tensor(pointers, self.columns.clone(), values, self.shape, check_invariants=False)


Beside: TypeAlias = Mapping[str | int, torch.Tensor]
"""Tensors of a batch by name."""

OnDevice: TypeAlias = CsrTensors | torch.Tensor
"""X of a batch."""


def _values(matrix: OnDevice) -> torch.Tensor:
    values: torch.Tensor = matrix.values if isinstance(matrix, CsrTensors) else matrix
    return values if values.is_floating_point() else values.to(torch.float32)


def _with_values(matrix: OnDevice, values: torch.Tensor) -> OnDevice:
    return replace(matrix, values=values) if isinstance(matrix, CsrTensors) else values


def _normalised(step: NormalizeTotal, matrix: OnDevice, beside: Beside) -> OnDevice:
    """Do on a device as `NormalizeTotal` does, in the same types."""
    values, key = _values(matrix), key_of_totals(beside, step.key)
    wide = torch.promote_types(values.dtype, torch.float32)
    if key is not None:
        totals = beside[key]
    elif isinstance(matrix, CsrTensors):
        totals = torch.segment_reduce(values.double(), "sum", offsets=matrix.pointers.long())
    else:
        totals = values.sum(1, dtype=torch.float64)
    totals = totals.to(wide)
    target = torch.full_like(totals, step.target_sum or 0)  # by a plain number CUDA would not divide but multiply
    totals = totals / target
    totals = totals.masked_fill(totals == 0, 1)
    divisors = totals[matrix.rows] if isinstance(matrix, CsrTensors) else totals[:, None]
    return _with_values(matrix, (values / divisors).to(values.dtype))


def _logged(step: Log1p, matrix: OnDevice, beside: Beside) -> OnDevice:  # noqa: ARG001 as of the others
    logs = torch.log1p(_values(matrix))
    return _with_values(matrix, logs if step.base is None else logs / math.log(step.base))


_CHANGES: dict[type, Callable[[Any, OnDevice, Beside], OnDevice]] = {
    NormalizeTotal: _normalised,
    Log1p: _logged,
}


def steps_on_device(transform: object) -> Sequence[object]:
    """Return the transforms in a transform, in order."""
    if transform is None:
        return []
    steps = list(transform.transforms) if isinstance(transform, Compose) else [transform]
    for step in steps:
        if type(step) not in _CHANGES:
            message = (
                f"transform has {step!r}; on the device there are NormalizeTotal, Log1p and a Compose of them. Give "
                "others to the dataset, as fetch_transform or batch_transform."
            )
            raise ArgumentTypeError(message)
    return steps


def changed_on_device(steps: Sequence[object], matrix: OnDevice, beside: Beside) -> OnDevice:
    """Return X, dense or `CsrTensors`, after the transforms.

    Parameters
    ----------
    beside
        Tensors of the same batch by name, such as total counts.
    """
    for step in steps:
        matrix = _CHANGES[type(step)](step, matrix, beside)
    return matrix
