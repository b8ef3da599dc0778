"""Lists and ranges, and lists of objects that another module knows."""

import os
from collections.abc import Sequence, Sized
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections.opening_call import opening_call
from scdataset.collections.rows import RowList, adapter_for, is_collection
from scdataset.errors import CollectionError

__all__ = ["adapt"]

_CELL_FILES = {".h5ad", ".h5mu", ".zarr", ".loom", ".mtx"}
_LOOKED_AT = 100


class ListRows:
    """A list: reading gives a list."""

    def __init__(self, source: list[RowData]) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> RowList:
        """Return the entries, as a list with one entry a row."""
        return RowList(map(self.source.__getitem__, rows.tolist()))

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"list:{len(self.source)}"


class RangeRows:
    """A range: reading gives an int64 array."""

    def __init__(self, source: range) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers, shape ``(n,)``."""
        return self.source.start + self.source.step * rows

    def fingerprint(self) -> str:
        """Return the range as it is written."""
        return repr(self.source)


def adapt(source: object) -> object:
    """Adapt lists and ranges; name the remedy for a dict, a tuple of arrays or a string."""
    if isinstance(source, (list, tuple)):
        together = _together(source)
        if together is not None:
            return together
    if isinstance(source, list):
        _refuse_paths(source)
        _refuse_collections(source)
        return ListRows(source)
    if isinstance(source, range):
        return RangeRows(source)
    if isinstance(source, (str, bytes)):
        message = (
            f"The collection is {source!r}, a {type(source).__name__}, which has no rows. Give {opening_call(source)}."
        )
        raise CollectionError(message)
    remedy = _remedy(source)
    if remedy and isinstance(source, Sized):
        message = (
            f"The collection is a {type(source).__name__} of {counted(len(source), 'entry')}, which has no rows of "
            f"its own. Give {remedy}."
        )
        raise CollectionError(message)
    return None


def _together(source: Sequence[RowData]) -> object:
    """Return one collection of the rows of all members of a list, if the module for their type can make one."""
    classes = type(source[0]).__mro__ if source else ()
    adapt_list = next(filter(None, (getattr(adapter_for(cls), "adapt_list", None) for cls in classes)), None)
    return None if adapt_list is None else adapt_list(source)


def _refuse_paths(source: list[RowData]) -> None:
    """Raise for a list of paths of files of cells, whose names would be the rows."""
    if source and all(isinstance(entry, (str, os.PathLike)) for entry in source):
        endings = {Path(entry).suffix for entry in source[:_LOOKED_AT] if isinstance(entry, (str, os.PathLike))}
        if endings <= _CELL_FILES:
            message = (
                f"The collection is a list of {len(source)} paths, whose rows would be the paths. Give "
                "open_collection(paths), which opens the files as one collection."
            )
            raise CollectionError(message)


def _refuse_collections(source: list[RowData]) -> None:
    """Raise for a list of collections, which would be the rows themselves."""
    if source and all(map(is_collection, source[:_LOOKED_AT])):
        message = (
            f"The collection is a list of {len(source)} collections, which would be its rows. Give "
            "open_collection(paths) for files whose cells follow each other, or MultiIndexable(a=..., b=...) for "
            "collections of the same cells."
        )
        raise CollectionError(message)


def _remedy(source: RowData) -> str | None:
    if isinstance(source, (dict, tuple)):
        wrapped = "MultiIndexable(data)" if isinstance(source, dict) else "MultiIndexable(*data)"
        listed = "list(data.values())" if isinstance(source, dict) else "list(data)"
        return f"{wrapped} if its entries are arrays of the same length, or {listed} if each entry has rows or is one"
    return None
