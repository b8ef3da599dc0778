"""Map-style datasets, and torch's own ways of combining them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset, Dataset, StackDataset, Subset, TensorDataset, default_collate

from scdataset._properties import cached_property
from scdataset._types import RowData
from scdataset.collections.indexable import Indexable
from scdataset.collections.join import join_rows
from scdataset.collections.rows import ColumnList, Indexed, RowList, take_rows
from scdataset.collections.trial import gives_rows, gives_samples, trial_rows
from scdataset.errors import CollectionError

if TYPE_CHECKING:
    from scdataset.collections.base import Collection

__all__ = ["MapStyle", "adapt_dataset"]


class MapStyle:
    """A map-style dataset, read in the first of these ways that gives its rows.

    1. ``dataset[rows]`` with an ascending int64 array, as any other collection is indexed.
    2. ``dataset.__getitems__(rows)`` with a list, collated as a DataLoader does.
    3. ``dataset[row]`` for each row, collated likewise.

    The first read tries them with up to three rows, compares with single samples, and settles the way for good.
    """

    def __init__(self, source: RowData) -> None:
        self.source: Any = source
        self._way: str | None = None

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows: whatever the dataset returns for an array, or collated samples."""
        if rows.size == 0:  # the form of a batch is known from samples only
            return take_rows(self.read(np.zeros(1, np.int64)), slice(0, 0))
        with torch.no_grad():  # workers can neither collate nor send gradients
            if self._way is not None:
                return _WAYS[self._way](self.source, rows)
            way, failures = self._choose(rows)
            try:
                fetched = _WAYS[way](self.source, rows)
            except Exception as error:
                for failure in failures:
                    error.add_note(failure)
                raise
        self._way = way
        return fetched

    def _choose(self, rows: NDArray[np.int64]) -> tuple[str, list[str]]:
        """Return the way to read, and how each way before it failed."""
        trial = trial_rows(rows, len(self.source))
        failures: list[str] = []
        for way, accepts in (("array", gives_rows), ("entries", gives_samples), ("together", gives_samples)):
            if way == "together" and not hasattr(self.source, "__getitems__"):
                continue
            try:
                if accepts(_TRIALS[way](self.source, trial), self.source, trial):
                    return way, failures
                failures.append(f"Reading {_NAMES[way]} gave other rows than single samples.")
            except Exception as error:  # noqa: BLE001 it is the user's, and shown if no way works
                failures.append(f"Reading {_NAMES[way]} failed: {type(error).__name__}: {error}")
        return "samples", failures

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"{type(self.source).__qualname__}:{len(self.source)}"


def _read_array(source: Indexed, rows: NDArray[np.int64]) -> object:
    return Indexable(source).read(rows)


def _read_entries(source: Indexed, rows: NDArray[np.int64]) -> RowList:
    distinct, places = np.unique(rows, return_inverse=True)
    entries = source[distinct]
    return RowList(entries[place] for place in places.tolist())


def _read_together(source: Any, rows: NDArray[np.int64]) -> object:
    return _collated(source, source.__getitems__(rows.tolist()))


def _read_samples(source: Indexed, rows: NDArray[np.int64]) -> object:
    return _collated(source, [source[row] for row in rows.tolist()])


_WAYS: dict[str, Callable[[Indexed, NDArray[np.int64]], RowData]] = {
    "array": _read_array,
    "entries": _read_entries,
    "together": _read_together,
    "samples": _read_samples,
}

_TRIALS: dict[str, Callable[[Any, NDArray[np.int64]], RowData]] = {
    "array": lambda source, rows: source[rows],
    "entries": lambda source, rows: source[rows],
    "together": lambda source, rows: source.__getitems__(rows.tolist()),
}

_NAMES = {"array": "dataset[array of rows]", "entries": "dataset[array of rows]", "together": "dataset.__getitems__"}


def _collated(source: RowData, samples: Sequence[object]) -> object:
    try:
        return _by_column(default_collate(list(samples)))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        message = (
            f"Samples of {type(source).__qualname__} cannot be collated: {error}. Give a "
            "fetch_callback(dataset, rows) that reads and combines those rows."
        )
        raise CollectionError(message) from error


def _by_column(collated: Any) -> RowData:
    """Mark which lists of collated samples have an entry a column: all but those of strings and bytes."""
    if isinstance(collated, Mapping):
        return {name: _by_column(column) for name, column in collated.items()}
    if not isinstance(collated, (list, tuple)):
        return collated
    if collated and isinstance(collated[0], (str, bytes)):
        return RowList(collated)
    columns: list[Any] = [_by_column(column) for column in collated]
    return type(collated)(*columns) if hasattr(collated, "_fields") else ColumnList(columns)


class TensorDatasetRows:
    """A ``TensorDataset``: a tuple of the rows of its tensors."""

    def __init__(self, source: TensorDataset) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, ...]:
        """Return the rows of each tensor, without a history of gradients."""
        chosen = torch.from_numpy(np.require(rows, requirements="W"))
        return tuple(tensor.detach().index_select(0, chosen.to(tensor.device)) for tensor in self.source.tensors)

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"TensorDataset:{len(self)}"


class SubsetRows:
    """A ``Subset`` of a dataset, read as the dataset is."""

    def __init__(self, source: "Subset[object]") -> None:
        self.source = source
        self._whole = adapt_dataset(source.dataset)

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def _indices(self) -> NDArray[np.int64]:
        indices = np.asarray(self.source.indices, np.int64)
        return np.where(indices < 0, indices + len(self._whole), indices)

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows as the whole dataset gives them."""
        return self._whole.read(self._indices[rows])

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"Subset:{len(self)}"


class ConcatRows:
    """A ``ConcatDataset``: each of its datasets is read once for a window, as it is by itself."""

    def __init__(self, source: "ConcatDataset[object]") -> None:
        self.source = source
        self._parts = [adapt_dataset(part) for part in source.datasets]
        self._stops = np.cumsum([len(part) for part in self._parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._stops[-1])

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows, joined."""
        if rows.size == 0:
            return self._parts[0].read(rows)
        part_of = np.searchsorted(self._stops, rows, side="right")
        order = np.argsort(part_of, kind="stable")
        numbers, counts = np.unique(part_of, return_counts=True)
        pieces = []
        for number, chosen in zip(numbers.tolist(), np.split(rows[order], np.cumsum(counts)[:-1]), strict=True):
            pieces.append(self._parts[number].read(chosen - (self._stops[number] - len(self._parts[number]))))
        joined = join_rows(pieces, counts.tolist())
        return joined if np.all(order[1:] > order[:-1]) else take_rows(joined, np.argsort(order))

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"ConcatDataset:{len(self)}"


class StackRows:
    """A ``StackDataset``: a tuple or dict of the rows of its datasets, each read as it is by itself."""

    def __init__(self, source: "StackDataset[Any]") -> None:
        self.source = source
        datasets: object = source.datasets
        self._names = list(datasets) if isinstance(datasets, dict) else None
        self._members = [adapt_dataset(member) for member in _members(source)]

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows of each dataset."""
        read = tuple(member.read(rows) for member in self._members)
        return read if self._names is None else dict(zip(self._names, read, strict=True))

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"StackDataset:{len(self)}"


def adapt_dataset(source: object) -> "Collection":
    """Return a collection over a map-style dataset; torch's own combinations are taken apart, their subclasses not.

    Members that are no datasets of torch, such as a list of tensors, are left to the combination: their samples would
    not be collated.
    """
    kind = type(source)
    is_known = kind in _COMBINED and all(isinstance(member, _COMBINED[kind][1]) for member in _members(source))
    return _COMBINED[kind][0](source) if is_known else MapStyle(source)


def _members(source: Any) -> list[object]:
    if isinstance(source, TensorDataset):
        return list(source.tensors)
    members = source.datasets if hasattr(source, "datasets") else [source.dataset]
    return list(members.values() if isinstance(members, dict) else members)


_COMBINED: dict[type, tuple[Callable[[Any], "Collection"], type]] = {
    TensorDataset: (TensorDatasetRows, torch.Tensor),
    Subset: (SubsetRows, Dataset),
    ConcatDataset: (ConcatRows, Dataset),
    StackDataset: (StackRows, Dataset),
}
"""Combinations, how they are read, and the type of members with which they are."""
