"""Batches as jax arrays."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch

from scdataset._packages import missing
from scdataset._types import RowData
from scdataset.transforms.base import Transform
from scdataset.transforms.torch import ToTorch, check_to_torch, mapped

__all__ = ["ToJax"]


@dataclass(frozen=True, eq=False)
class ToJax(Transform):
    """Turn a batch into jax arrays, over the memory of the tensors that `ToTorch` makes of it where jax can.

    Parameters
    ----------
    to_torch
        How a batch becomes tensors. With ``layout="csr"`` X becomes a ``jax.experimental.sparse.BCSR``.
    device
        A jax device or sharding to put the arrays on; None for where the tensors are.

    Raises
    ------
    MissingDependencyError
        When called, if jax is not installed.

    Notes
    -----
    Without ``jax_enable_x64``, labels become int32 and float64 becomes float32, as everywhere in jax. Tensors on a GPU,
    such as those of `to_device`, stay there.

    Examples
    --------
    >>> ToJax(ToTorch(dtype=torch.bfloat16)).to_torch.dtype
    torch.bfloat16
    """

    to_torch: ToTorch = field(default_factory=ToTorch)
    device: object = None
    runs_ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_to_torch(self.to_torch)

    def divided(self) -> tuple[None, Self]:
        """Return no part for windows: as dense ones they would be many times as large as batches."""
        return None, self

    def __call__(self, value: object) -> Any:
        """Return arrays: a dict of them for a `MultiIndexable`, a dict or AnnData (its X), one for an array."""
        return mapped(self.to_torch(value), self._array)

    def _array(self, tensor: torch.Tensor) -> RowData:
        try:
            import jax  # noqa: PLC0415 optional
            from jax.experimental.sparse import BCSR  # noqa: PLC0415 optional
        except ModuleNotFoundError as error:
            needed_for = "ToJax"
            raise missing(needed_for, "jax", because=error) from error
        if tensor.layout is torch.sparse_csr:
            parts = tensor.values(), tensor.col_indices(), tensor.crow_indices()
            array = BCSR(tuple(map(jax.dlpack.from_dlpack, parts)), shape=tuple(tensor.shape))
        else:
            array = jax.dlpack.from_dlpack(tensor)
        return array if self.device is None else jax.device_put(array, self.device)
