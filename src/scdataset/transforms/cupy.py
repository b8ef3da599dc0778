"""Batches as CuPy arrays."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch

from scdataset._packages import missing
from scdataset._types import RowData
from scdataset.errors import ArgumentValueError
from scdataset.transforms.base import Transform
from scdataset.transforms.csr_tensors import CsrTensors, OnDevice
from scdataset.transforms.torch import ToTorch, check_to_torch, mapped

__all__ = ["ToCupy"]


@dataclass(frozen=True, eq=False)
class ToCupy(Transform):
    """Turn a batch into CuPy arrays on the current device.

    A sparse X crosses the bus as it is stored, and is made dense on the device.

    Parameters
    ----------
    to_torch
        How a batch becomes tensors, which the arrays are made of. With ``layout="csr"`` X becomes a
        ``cupyx.scipy.sparse.csr_matrix``.

    Raises
    ------
    MissingDependencyError
        When called, if CuPy is not installed.

    Notes
    -----
    Tensors on a GPU, such as those of `to_device`, are used where they are. CuPy has no bfloat16.

    Examples
    --------
    >>> ToCupy(ToTorch(layout="csr")).to_torch.layout
    'csr'
    """

    to_torch: ToTorch = field(default_factory=ToTorch)
    runs_ahead: ClassVar[bool] = False  # the current device is the calling thread's

    def __post_init__(self) -> None:
        check_to_torch(self.to_torch)
        if self.to_torch.dtype is torch.bfloat16:
            message = "to_torch has dtype=torch.bfloat16, which CuPy has not; give torch.float16 or torch.float32."
            raise ArgumentValueError(message)

    def divided(self) -> tuple[None, Self]:
        """Return no part for windows: as dense ones they would be many times as large as batches."""
        return None, self

    def __call__(self, value: object) -> Any:
        """Return arrays: a dict of them for a `MultiIndexable`, a dict or AnnData (its X), one for an array."""
        return mapped(self.to_torch.tensors(value, CsrTensors.from_csr), self._array)

    def _array(self, tensors: OnDevice) -> RowData:
        try:
            import cupy  # noqa: PLC0415 optional
            from cupyx.scipy.sparse import csr_matrix  # noqa: PLC0415 optional
        except ModuleNotFoundError as error:
            needed_for = "ToCupy"
            raise missing(needed_for, "cupy-cuda12x", because=error) from error

        def array(tensor: torch.Tensor) -> "cupy.ndarray":
            return cupy.from_dlpack(tensor) if tensor.is_cuda else cupy.asarray(tensor.numpy())

        if not isinstance(tensors, CsrTensors) and tensors.layout is not torch.sparse_csr:
            return array(tensors)
        rows = tensors if isinstance(tensors, CsrTensors) else CsrTensors.from_tensor(tensors)
        dtype = str(self.to_torch.dtype).removeprefix("torch.")
        values = array(rows.values).astype("float64" if dtype == "float64" else "float32", copy=False)
        matrix = csr_matrix((values, array(rows.columns), array(rows.pointers)), shape=rows.shape)
        return matrix.toarray().astype(dtype, copy=False) if self.to_torch.layout == "dense" else matrix
