"""torch tensors and map-style datasets."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, default_collate

from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex
from scdataset.errors import CollectionError

__all__ = ["adapt", "take"]


class MapStyle:
    """A map-style dataset: samples are read together where it can, and collated as a DataLoader does."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Read the samples and collate them with torch's default collation."""
        wanted = rows.tolist()
        together = getattr(self.source, "__getitems__", None)
        samples = together(wanted) if together else [self.source[row] for row in wanted]
        try:
            return default_collate(samples)
        except (TypeError, RuntimeError) as error:
            message = (
                f"Samples of {type(self.source).__qualname__} cannot be collated: {error}. Give a "
                "fetch_callback(dataset, rows) that reads and combines those rows."
            )
            raise CollectionError(message) from error

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"{type(self.source).__qualname__}:{len(self.source)}"


def adapt(source: Any) -> InMemory | MapStyle | None:
    """Adapt tensors and map-style datasets; refuse iterable ones, which have no rows to choose from."""
    if isinstance(source, torch.Tensor):
        return InMemory(source) if source.ndim else None
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
    return value.index_select(0, torch.from_numpy(rows).to(value.device))
