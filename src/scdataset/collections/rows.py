"""Rows of whatever was read: recognise them, and take some of them.

The same rules serve the results of hooks, windows, modalities and in-memory collections.
"""

import importlib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ADAPTED_PACKAGES",
    "ColumnList",
    "RowIndex",
    "RowList",
    "adapter_for",
    "alike",
    "as_rows",
    "row_taker",
    "take_rows",
]

RowIndex = slice | NDArray[np.int64]
"""Rows to take: a slice of step 1, or int64 row numbers in any order, repeated or not."""

ADAPTED_PACKAGES = frozenset(
    ("anndata", "builtins", "datasets", "h5py", "numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "zarr")
)
"""Packages whose classes have a module of that name here; it is imported where such an object was given."""


class RowList(list[Any]):
    """A list with one entry a row, where a plain list may also be one of columns."""


class ColumnList(list[Any]):
    """A list with one entry a column, where a plain list may also be one of rows."""


def adapter_for(cls: type) -> Any:
    """Return the module of this package that knows objects of ``cls`` itself, or None."""
    package = cls.__module__.partition(".")[0]
    if package not in ADAPTED_PACKAGES or cls is object:
        return None
    return importlib.import_module(f"scdataset.collections.{package}")


def as_rows(value: Any, n_rows: int) -> Any | None:
    """Return ``value`` in the form that `take_rows` takes, or None if it does not have ``n_rows`` rows.

    A dict has the rows of its values, where a list of ``n_rows`` entries has one entry a row. Any other list, and any
    tuple, is one of columns if each member has ``n_rows`` rows, and else has one entry a row.
    """
    if isinstance(value, Mapping):
        named = {name: _as_column(column, n_rows) for name, column in value.items()}
        return named if named and all(column is not None for column in named.values()) else None
    if isinstance(value, (list, tuple)):
        columns = _as_columns(value, n_rows)
        return _as_entries(value, n_rows) if columns is None else columns
    shape = getattr(value, "shape", None)
    if shape is None and not hasattr(value, "__len__"):
        return None
    found = len(value) if shape is None else next(iter(shape), None)
    return value if found == n_rows and not isinstance(value, (str, bytes)) else None


def take_rows(value: Any, rows: RowIndex) -> Any:
    """Return some rows of ``value``: of its own type, and a view where a slice of it is one."""
    return row_taker(value)(value, rows)


def row_taker(value: Any) -> Callable[[Any, RowIndex], Any]:
    """Return the function that takes rows of ``value`` and of all others of its type."""
    kind: Any = type(value)
    return _taker_of(kind)


def alike(value: Sequence[Any], members: Iterable[Any]) -> Any:
    """Return columns as the kind of tuple that ``value`` is, or as a list."""
    kind: Any = type(value) if isinstance(value, tuple) else ColumnList
    return kind(*members) if hasattr(kind, "_fields") else kind(members)


@cache
def _taker_of(kind: type) -> Callable[[Any, RowIndex], Any]:
    if issubclass(kind, RowList):
        return _take_entries
    if issubclass(kind, (list, tuple)):
        return _take_of_columns
    if issubclass(kind, Mapping):
        return _take_of_named_columns
    takers = (getattr(adapter_for(cls), "take", None) for cls in kind.__mro__)
    return next(filter(None, takers), operator.getitem)


def _take_entries(value: RowList, rows: RowIndex) -> RowList:
    return RowList(value[rows]) if isinstance(rows, slice) else RowList(value[row] for row in rows.tolist())


def _take_of_columns(value: Sequence[Any], rows: RowIndex) -> Any:
    return alike(value, [take_rows(column, rows) for column in value])


def _take_of_named_columns(value: Mapping[Any, Any], rows: RowIndex) -> dict[Any, Any]:
    return {name: take_rows(column, rows) for name, column in value.items()}


def _as_column(value: Any, n_rows: int) -> Any | None:
    """Return what a dict has under a name: a list with one entry a row, which comes first here, or anything else."""
    entries = _as_entries(value, n_rows) if isinstance(value, list) else None
    return as_rows(value, n_rows) if entries is None else entries


def _as_entries(value: Sequence[Any], n_rows: int) -> RowList | None:
    return None if isinstance(value, ColumnList) or len(value) != n_rows else RowList(value)


def _as_columns(value: Sequence[Any], n_rows: int) -> Any | None:
    if isinstance(value, RowList) or not value:
        return None
    columns = [as_rows(column, n_rows) for column in value]
    return None if any(column is None for column in columns) else alike(value, columns)
