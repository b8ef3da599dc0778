"""obs and var in files, of any version of anndata: their rows, their index and their columns.

A data frame is a group with an array for each column. Before anndata 0.7 it was an array of records, whose first field
is the index: https://anndata.readthedocs.io/en/stable/fileformat-prose.html
"""

from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._types import Array
from scdataset.cells.columns import ColumnValues
from scdataset.cells.encoding import encoded
from scdataset.cells.formats.nodes import Node, as_text
from scdataset.cells.formats.read_errors import reading
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["column_names", "column_of", "column_values", "frame_of", "index_of", "n_rows", "usual_strings", "values_of"]

_COLUMN_KINDS = {
    *("array", "string-array", "categorical"),
    *("nullable-integer", "nullable-boolean", "nullable-string-array"),
}
"""Encodings of columns, as anndata calls them."""

_ONE_A_ROW = ("codes", "values")
"""Members with one entry a row, in a group that is a column: of a categorical, and of an array with a mask."""


def n_rows(frame: Node) -> int:
    """Return the number of rows, without reading the index if that can be."""
    if frame.is_array:
        return _length(frame)
    index = frame.child(_index_name(frame))
    if index.is_array:
        return _length(index)
    parts = [part for name in _ONE_A_ROW if (part := index.find(name)) is not None]
    return _length(parts[0]) if parts else len(values_of(index))


def column_names(frame: Node) -> list[str]:
    """Return the names of columns, in the order of the frame."""
    if frame.is_array:
        return _fields(frame)[1:]
    return frame.texts("column-order")


def frame_of(frame: Node) -> pd.DataFrame:
    """Read all columns."""
    if frame.is_array:
        index, *names = _fields(frame)
        records = frame.values()
        read = pd.DataFrame(
            {name: _plain(records[name]) for name in names}, index=pd.Index(_plain(records[index]), name=index)
        )
    else:
        element = frame.element()
        if not isinstance(element, pd.DataFrame):
            message = f"{frame.path}: {frame.name} is {frame.kind!r}; it has to be a data frame."
            raise CollectionError(message)
        read = element
    return read.set_axis(_as_names(read.index), axis=0)


def index_of(frame: Node) -> pd.Index:
    """Read the index alone."""
    if frame.is_array or frame.kind is None:
        return frame_of(frame).index
    name = _index_name(frame)
    return _as_names(pd.Index(values_of(frame.child(name)), name=None if name == "_index" else name))


def column_values(frame: Node, name: str) -> ColumnValues:
    """Read one column: an array, a categorical, or a masked array of pandas."""
    if frame.is_array:
        return _plain(frame.values()[name])
    stored = frame.child(name)
    if stored.is_array and stored.attribute("categories") is not None:  # before anndata 0.8
        return _with_categories(frame, stored, name)
    return column_of(stored)


def _with_categories(frame: Node, codes: Node, name: str) -> ColumnValues:
    """Read a column whose labels are in a group beside the columns, where anndata 0.7 puts them."""
    beside = frame.find("__categories")
    labels = None if beside is None else beside.find(name)
    if labels is None:
        column: ColumnValues = frame_of(frame)[name].array
        return column
    categories, values = values_of(labels), codes.values()
    with reading(codes.path, codes.name):  # pandas refuses codes without a category
        names: pd.Index = pd.Index(categories)
        return pd.Categorical.from_codes(values, names, ordered=bool(labels.attribute("ordered")))


def column_of(stored: Node) -> ColumnValues:
    """Read a column: strings as a categorical, which takes a hundredth of their memory, and all else as `values_of`."""
    if stored.is_strings:
        return encoded((part.astype(object, copy=False) for (part,) in stored.pieces()), stored.decoded)
    if stored.kind == "nullable-string-array" and not stored.is_array:
        values, mask = stored.child("values"), stored.child("mask")
        if values.is_strings and values.shape == mask.shape and mask.dtype == np.bool_:
            return encoded((_masked(*parts) for parts in values.pieces(mask)), values.decoded)
    return values_of(stored)


def usual_strings(frame: Node, key: str | None) -> pd.Index | None:
    """Read the index of a frame, or one of its columns, if it is an array of strings; else None."""
    if frame.is_array or frame.kind != "dataframe":
        return None
    index = _index_name(frame)
    if key is not None and (key == index or key not in column_names(frame)):
        return None
    strings = frame.child(index if key is None else key).strings()
    return None if strings is None else pd.Index(strings, name=key if key or index == "_index" else index, dtype=object)


def values_of(stored: Node) -> ColumnValues:
    """Read a column as anndata does, which takes it several times as long for the usual kinds.

    Raises
    ------
    CollectionError
        If it is of a kind that is not known.
    """
    values = _read(stored)
    one_axis = getattr(values, "ndim", 0) == 1 and isinstance(values, np.ndarray | pd.api.extensions.ExtensionArray)
    if not one_axis or values.dtype.kind == "V":
        message = f"{stored.path}: {stored.name} is no column; a column has a number or a label for each row."
        raise CollectionError(message)
    return values


def _masked(strings: Array, is_missing: NDArray[np.bool_]) -> Array:
    """Return strings as objects, None for those that are missing."""
    objects = strings.astype(object)
    objects[is_missing] = None
    return objects


def _read(stored: Node) -> ColumnValues:
    kind = stored.kind
    if kind and kind not in _COLUMN_KINDS:
        message = (
            f"{stored.path}: {stored.name} is encoded as {kind!r}, which is not read as a column; it has to be one of "
            f"{sorted(_COLUMN_KINDS)}."
        )
        raise CollectionError(message)
    if kind == "categorical" and not stored.is_array:
        codes, categories = stored.child("codes").values(), values_of(stored.child("categories"))
        with reading(stored.path, stored.name):  # pandas refuses codes without a category
            return pd.Categorical.from_codes(codes, pd.Index(categories), ordered=bool(stored.attribute("ordered")))
    if kind == "array" and stored.is_array and stored.dtype.kind in "iufb":
        return stored.values()
    strings = stored.strings()
    return cast("ColumnValues", stored.element()) if strings is None else strings


def _index_name(frame: Node) -> str:
    said = frame.attribute("_index")
    return "index" if said is None else as_text(said)


def _length(stored: Node) -> int:
    shape = stored.shape
    if not shape:
        message = f"{stored.path}: {stored.name} has shape {shape}; it has to have a value for each row."
        raise DamagedFileError(message)
    return int(shape[0])


def _fields(records: Node) -> list[str]:
    """Return the names of the fields of records, the index first."""
    names = records.dtype.names
    if not names:
        message = f"{records.path}: {records.name} is of type {records.dtype}; it has to be a data frame."
        raise DamagedFileError(message)
    return [str(name) for name in names]


def _plain(values: Array) -> Array:
    """Return a field of records, its strings decoded."""
    if values.dtype.kind not in "SO":
        return values
    strings = np.empty(len(values), object)
    strings[:] = [as_text(value) for value in values.tolist()]
    return strings


def _as_names(index: pd.Index) -> pd.Index:
    """Return names as strings, which AnnData makes of numbers."""
    return index.astype(str)
