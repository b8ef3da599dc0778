"""Hugging Face datasets."""

import datasets
import numpy as np
from numpy.typing import NDArray

from scdataset._types import RowData
from scdataset.collections.memory import BatchTaker, InMemory
from scdataset.collections.reopening import OpenedFile
from scdataset.collections.rows import RowIndex, RowList
from scdataset.errors import CollectionError

__all__ = ["adapt", "cut"]


class HuggingFaceRows:
    """A Hugging Face ``Dataset``: reading gives the result of indexing it, a dict of columns in its format."""

    def __init__(self, source: datasets.Dataset) -> None:
        self.source = source
        self._files = [OpenedFile.at_path(file["filename"]) for file in source.cache_files]

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows, in the format the dataset is set to."""
        if self.source.format["type"] == "polars":
            return self._polars_frame(rows)
        fetched = self.source[rows.tolist()]
        if isinstance(fetched, dict):
            return {name: RowList(column) if isinstance(column, list) else column for name, column in fetched.items()}
        return fetched

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        for file in filter(None, self._files):  # the library has opened the files under their paths
            file.check_path()

    def fingerprint(self) -> str:
        """Return the library's own fingerprint of the data and all that was done to it."""
        return f"Dataset:{len(self.source)}:{self.source._fingerprint}"  # noqa: SLF001 documented, and has no other name

    def _polars_frame(self, rows: NDArray[np.int64]) -> object:
        from scdataset.collections.adapters.polars import from_arrow  # noqa: PLC0415 polars is there if it is the format

        given = self.source.format
        as_arrow = self.source.with_format("arrow", given["columns"], given["output_all_columns"])
        return from_arrow(as_arrow[rows.tolist()])


class ColumnRows(InMemory):
    """A column of a Hugging Face ``Dataset``: reading gives the result of indexing it, a list or an array."""

    def take(self, rows: RowIndex) -> RowData:
        """Return the entries, in the format the dataset is set to."""
        fetched = self.source[rows if isinstance(rows, slice) else rows.tolist()]
        return RowList(fetched) if isinstance(fetched, list) else fetched

    cut = take

    def batch_taker(self, *, leave: bool) -> BatchTaker:  # noqa: ARG002 as of all in memory
        """Return a function that takes entries."""
        return self.take

    def fingerprint(self) -> str:
        """Return the fingerprint of the dataset and the name of the column."""
        return f"{HuggingFaceRows(self.source.source).fingerprint()}:{self.source.column_name}"


def adapt(source: RowData) -> HuggingFaceRows | ColumnRows | None:
    """Adapt datasets and their columns; refuse streamed ones and dicts of splits."""
    if isinstance(source, datasets.Dataset):
        return HuggingFaceRows(source)
    if isinstance(source, (datasets.DatasetDict, datasets.IterableDataset, datasets.IterableDatasetDict)):
        message = (
            f"The collection is a Hugging Face {type(source).__name__}, which has no rows to choose from. Give one "
            'split of a downloaded dataset: load_dataset(..., split="train").'
        )
        raise CollectionError(message)
    column = getattr(datasets, "Column", None)  # since version 4; a list before
    return ColumnRows(source) if column is not None and isinstance(source, column) else None


def cut(value: datasets.Dataset, rows: slice) -> RowData:
    """Read rows that follow each other."""
    return value[rows]
