"""torch tensors and map-style datasets."""

from functools import partial

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

from scdataset._types import RowData
from scdataset.collections.map_style import adapt_dataset
from scdataset.collections.memory import BatchTaker, InMemory
from scdataset.collections.rows import RowIndex
from scdataset.errors import CollectionError

__all__ = ["adapt", "cut", "take"]


class TensorRows(InMemory):
    """A tensor: reading gives values without a history of gradients, which could not go to another process."""

    def take(self, rows: RowIndex) -> torch.Tensor:
        """Return the rows, shape ``(n, *shape[1:])``."""
        return take(self.source.detach(), rows)

    def batch_taker(self, *, leave: bool) -> BatchTaker:  # noqa: ARG002 as of all in memory
        """Return a function that takes rows."""
        return partial(take, self.source.detach())

    def cut(self, rows: slice) -> torch.Tensor:
        """Copy rows from start to stop."""
        return cut(self.source.detach(), rows)


def adapt(source: RowData) -> RowData:
    """Adapt dense tensors and map-style datasets; refuse those without rows to choose from."""
    if isinstance(source, torch.Tensor):
        return TensorRows(_dense(source)) if source.ndim else None
    if isinstance(source, IterableDataset):
        message = (
            f"The collection is {type(source).__qualname__}, an IterableDataset, whose rows cannot be chosen. Give a "
            "map-style dataset: one with __len__ and __getitem__."
        )
        raise CollectionError(message)
    if isinstance(source, Dataset) and hasattr(source, "__len__"):
        return adapt_dataset(source)
    return None


def take(value: torch.Tensor, rows: RowIndex) -> torch.Tensor:
    """Take rows: a view for a slice, new memory on the same device otherwise."""
    if isinstance(rows, slice):
        return value[rows]
    return value.index_select(0, torch.from_numpy(np.require(rows, requirements="W")).to(value.device))


def cut(value: torch.Tensor, rows: slice) -> torch.Tensor:
    """Copy rows."""
    return value[rows].clone()


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout is not torch.strided:
        message = (
            f"The collection is a tensor of layout {tensor.layout}, whose rows cannot be cut into batches. Give "
            "tensor.to_dense(), or the same values as scipy.sparse.csr_matrix."
        )
        raise CollectionError(message)
    return tensor
