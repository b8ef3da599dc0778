"""Rows of whatever was read: recognise them, and take some of them.

The same rules serve the results of hooks, windows, modalities and in-memory collections.
"""

import importlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from scdataset._types import RowData

if TYPE_CHECKING:
    from scdataset.collections.base import Collection

__all__ = [
    "ADAPTED_PACKAGES",
    "ColumnList",
    "Indexed",
    "RowCutter",
    "RowIndex",
    "RowList",
    "RowTaker",
    "Separable",
    "adapter_for",
    "alike",
    "apart",
    "as_rows",
    "as_window",
    "cut_rows",
    "is_collection",
    "row_cutter",
    "row_taker",
    "take_rows",
]

RowIndex = slice | NDArray[np.int64]
"""Rows to take: a slice of step 1, or int64 row numbers in any order, repeated or not."""


class Indexed(Protocol):
    """A container that is indexed by row, or by an array of rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


RowTaker = Callable[[Any, RowIndex], RowData]
"""Takes rows of a container of the type that it is for, given with it."""

RowCutter = Callable[[Any, slice], RowData]
"""The same, for rows from start to stop."""

ADAPTED_PACKAGES = frozenset(
    ("anndata", "builtins", "datasets", "h5py", "numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "zarr")
)
"""Packages whose classes have an adapter of that name; it is imported where such an object was given."""


class RowList(list[RowData]):
    """A list with one entry a row, where a plain list may also be one of columns."""


class ColumnList(list[RowData]):
    """A list with one entry a column, where a plain list may also be one of rows."""


class Separable(ABC):
    """A container of ours that can give some of its rows apart from the others."""

    @abstractmethod
    def cut(self, rows: slice) -> RowData:
        """Return rows from start to stop, of the same type, that hold none of the memory of the others."""
        ...


@cache
def adapter_for(cls: type) -> ModuleType | None:
    """Return the adapter of the package that defines ``cls``, or None."""
    package = cls.__module__.partition(".")[0]
    if package not in ADAPTED_PACKAGES or cls is object:
        return None
    return importlib.import_module(f"scdataset.collections.adapters.{package}")


def as_rows(value: Any, n_rows: int) -> RowData | None:
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


def as_window(value: RowData, n_rows: int) -> RowData | None:
    """Return ``value`` in the form that `cut_rows` and `take_rows` take, or None if it does not have ``n_rows`` rows.

    An object of a class that nobody here knows, and that has no shape, is indexed with arrays of positions, whatever
    its length means.
    """
    window = as_rows(value, n_rows)
    return value if window is None and _is_of_the_user(value) else window


def _is_of_the_user(value: RowData) -> bool:
    kind = type(value)
    is_known = isinstance(value, (Mapping, Separable)) or any(adapter_for(cls) is not None for cls in kind.__mro__)
    return hasattr(kind, "__getitem__") and not is_known and not hasattr(value, "shape")


def take_rows(value: RowData, rows: RowIndex) -> RowData:
    """Return some rows of ``value``: of its own type, and a view where a slice of it is one."""
    return row_taker(value)(value, rows)


def row_taker(value: RowData) -> RowTaker:
    """Return the function that takes rows of ``value`` and of all others of its type."""
    kind: type = type(value)
    return _taker_of(kind)


def cut_rows(value: RowData, rows: slice) -> RowData:
    """Return rows from start to stop: of its own type, and holding none of the memory of the other rows."""
    kind: type = type(value)
    return _cutter_of(kind)(value, rows)


def row_cutter(value: RowData) -> RowCutter:
    """Return a function that cuts rows from ``value``, one part after the other, as `cut_rows` does."""
    kind: type = type(value)
    own = _own_cutter_of(kind)
    return _cutter_of(kind) if own is None else own(value)


def apart(value: RowData) -> RowData:
    """Return ``value``, or a copy where it is of a kind that may be a view of other rows and is one."""
    kind: type = type(value)
    own = _apart_of(kind)
    return value if own is None else own(value)


def alike(value: Sequence[RowData], members: Iterable[object]) -> RowData:
    """Return columns as the kind of tuple that ``value`` is, or as a list."""
    kind: Any = type(value) if isinstance(value, tuple) else ColumnList
    return kind(*members) if hasattr(kind, "_fields") else kind(members)


@cache
def _taker_of(kind: type) -> RowTaker:
    if issubclass(kind, RowList):
        return _take_entries
    if issubclass(kind, (list, tuple)):
        return _take_of_columns
    if issubclass(kind, Mapping):
        return _take_of_named_columns
    return _offered(kind, "take") or operator.getitem


@cache
def _cutter_of(kind: type) -> RowCutter:
    if issubclass(kind, Separable):
        return kind.cut
    if issubclass(kind, RowList):
        return _take_entries
    if issubclass(kind, (list, tuple)):
        return _cut_of_columns
    if issubclass(kind, Mapping):
        return _cut_of_named_columns
    return _offered(kind, "cut") or _cut_by_positions


@cache
def _own_cutter_of(kind: type) -> Callable[[Any], RowCutter] | None:
    return _offered(kind, "cutter")


@cache
def _apart_of(kind: type) -> Callable[[Any], RowData] | None:
    return _offered(kind, "apart")


def _offered(kind: type, name: str) -> Callable[..., Any] | None:
    """Return the first function of a name among the adapters of a class and its bases, or None."""
    return next(filter(None, (getattr(adapter_for(cls), name, None) for cls in kind.__mro__)), None)


def _cut_by_positions(value: RowData, rows: slice) -> RowData:
    """Take rows by their numbers, which makes new memory where a slice might be a view."""
    return take_rows(value, np.arange(rows.start, rows.stop))


def _cut_of_columns(value: Sequence[RowData], rows: slice) -> RowData:
    return alike(value, [cut_rows(column, rows) for column in value])


def _cut_of_named_columns(value: Mapping[Hashable, RowData], rows: slice) -> dict[Hashable, RowData]:
    return {name: cut_rows(column, rows) for name, column in value.items()}


def _take_entries(value: RowList, rows: RowIndex) -> RowList:
    return RowList(value[rows]) if isinstance(rows, slice) else RowList(value[row] for row in rows.tolist())


def _take_of_columns(value: Sequence[RowData], rows: RowIndex) -> RowData:
    return alike(value, [take_rows(column, rows) for column in value])


def _take_of_named_columns(value: Mapping[Hashable, RowData], rows: RowIndex) -> dict[Hashable, RowData]:
    return {name: take_rows(column, rows) for name, column in value.items()}


def _as_column(value: RowData, n_rows: int) -> RowData | None:
    """Return a column of a dict: a list with one entry a row, which comes first here, or anything else."""
    entries = _as_entries(value, n_rows) if isinstance(value, list) else None
    return as_rows(value, n_rows) if entries is None else entries


def _as_entries(value: Sequence[RowData], n_rows: int) -> RowList | None:
    return None if isinstance(value, ColumnList) or len(value) != n_rows else RowList(value)


def _as_columns(value: Sequence[RowData], n_rows: int) -> RowData | None:
    if isinstance(value, RowList) or not value:
        return None
    columns = [as_rows(column, n_rows) for column in value]
    return None if any(column is None for column in columns) else alike(value, columns)


def is_collection(source: RowData) -> "TypeGuard[Collection]":
    """Return whether the class of ``source`` is a collection; a frame may have a column called ``read``."""
    return all(hasattr(type(source), name) for name in ("__len__", "read", "fingerprint"))
