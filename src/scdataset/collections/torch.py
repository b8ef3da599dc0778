"""torch tensors and map-style datasets."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, default_collate

from scdataset.collections.memory import InMemory
from scdataset.collections.rows import ColumnList, RowIndex, RowList, take_rows
from scdataset.errors import CollectionError

__all__ = ["adapt", "cut", "take"]


class TensorRows(InMemory):
    """A tensor: reading gives values without a history of gradients, which could not go to another process."""

    def take(self, rows: RowIndex) -> torch.Tensor:
        """Return the rows, shape ``(n, *shape[1:])``."""
        return take(self.source.detach(), rows)

    def cut(self, rows: slice) -> torch.Tensor:
        """Copy rows from start to stop."""
        return cut(self.source.detach(), rows)


class MapStyle:
    """A map-style dataset: samples are read together where it can, and collated as a DataLoader does."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Read the samples and collate them with torch's default collation."""
        if rows.size == 0:  # what a batch looks like is known from samples only
            return take_rows(self.read(np.zeros(1, np.int64)), slice(0, 0))
        wanted = rows.tolist()
        together = getattr(self.source, "__getitems__", None)
        samples = together(wanted) if together else [self.source[row] for row in wanted]
        try:
            with torch.no_grad():  # workers can neither collate nor send gradients
                return _by_column(default_collate(samples))
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            message = (
                f"Samples of {type(self.source).__qualname__} cannot be collated: {error}. Give a "
                "fetch_callback(dataset, rows) that reads and combines those rows."
            )
            raise CollectionError(message) from error

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"{type(self.source).__qualname__}:{len(self.source)}"


def adapt(source: Any) -> InMemory | MapStyle | None:
    """Adapt dense tensors and map-style datasets; refuse what has no rows to choose from."""
    if isinstance(source, torch.Tensor):
        return TensorRows(_dense(source)) if source.ndim else None
    if isinstance(source, IterableDataset):
        message = (
            f"The collection is {type(source).__qualname__}, an IterableDataset, whose rows cannot be chosen. Give a "
            "map-style dataset: one with __len__ and __getitem__."
        )
        raise CollectionError(message)
    if isinstance(source, Dataset) and hasattr(source, "__len__"):
        return MapStyle(source)
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


def _by_column(collated: Any) -> Any:
    """Mark which lists of collated samples have an entry a column: all but those of strings and bytes."""
    if isinstance(collated, Mapping):
        return {name: _by_column(column) for name, column in collated.items()}
    if not isinstance(collated, (list, tuple)):
        return collated
    if collated and isinstance(collated[0], (str, bytes)):
        return RowList(collated)
    columns = [_by_column(column) for column in collated]
    return type(collated)(*columns) if hasattr(collated, "_fields") else ColumnList(columns)
