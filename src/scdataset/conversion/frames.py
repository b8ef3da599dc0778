"""obs and var in a zarr store, column by column (the specification of AnnData: dataframe 0.2.0)."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import anndata
import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from scdataset._types import Array
from scdataset.cells import CellCollection

__all__ = ["write_element", "write_frame", "write_genes", "write_groups"]

_CHUNK = 1 << 17
"""Rows in a chunk of a column."""


def write_frame(
    root: zarr.Group,
    name: str,
    index: Iterable[NDArray[np.object_]],
    index_name: object,
    names: Sequence[str],
    column: Callable[[str], object],
) -> None:
    """Write a data frame, with one column in memory at a time.

    Parameters
    ----------
    root, name
        The store, and the place of the frame in it.
    index, index_name
        Row names in parts, each of whole chunks except the last, and the name of the index.
    names, column
        Names of the columns, and a function that returns the values of one.
    """
    group = root.require_group(name)
    if not isinstance(index_name, str) or not index_name or index_name in names:
        index_name = "_index"
    for one in names:
        write_element(group, one, storable(column(one)))
    parts = iter(index)
    first = next(parts)
    write_element(group, index_name, first)
    stored: zarr.Array = group[index_name]
    for part in parts:
        start = stored.shape[0]
        stored.resize((start + part.size,))
        stored[start:] = part
    encoding = {"encoding-type": "dataframe", "encoding-version": "0.2.0"}
    group.attrs.update(encoding | {"column-order": list(names), "_index": index_name})


def write_groups(root: zarr.Group, names: Sequence[str], kind: str = "dict") -> None:
    """Write the groups of AnnData that hold members by name."""
    for name in names:
        root.require_group(name).attrs.update({"encoding-type": kind, "encoding-version": "0.1.0"})


def write_genes(root: zarr.Group, name: str, cells: CellCollection) -> None:
    """Write var."""
    var, var_names = cells.var, cells.var_names.astype(str)
    named = [str(name) for name in var]
    write_frame(root, name, [var_names.to_numpy(object)], var_names.name, named, lambda column: var[column])


def write_element(group: zarr.Group, name: str, values: object) -> None:
    """Write an element with anndata's writer."""
    is_column = isinstance(values, np.ndarray | pd.api.extensions.ExtensionArray) and values.ndim == 1
    chunks = {"chunks": (_CHUNK,)} if is_column else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of anndata and zarr about their plans
        parent, _, last = name.rpartition("/")
        anndata.io.write_elem(group.require_group(parent) if parent else group, last, values, dataset_kwargs=chunks)


def storable(values: object) -> pd.api.extensions.ExtensionArray | Array:
    """Return a column in a form that anndata writes: labels as categories, but strings that all differ as they are."""
    array = values.array if isinstance(values, pd.Series) else values
    if isinstance(values, pd.Series) and isinstance(array, pd.Categorical):
        return array
    if isinstance(array, pd.arrays.IntegerArray | pd.arrays.BooleanArray):
        return cast("pd.api.extensions.ExtensionArray", array)
    if not isinstance(array, pd.Categorical):
        array = np.asarray(array)
    if isinstance(array, np.ndarray) and array.dtype.kind in "iufb":
        return array
    labels = array if isinstance(array, pd.Categorical) else pd.Categorical(np.asarray(array, object))
    text = labels.categories.inferred_type == "string"
    if text and not labels.ordered and _all_differ(labels):
        return np.asarray(np.asarray(labels.categories, object)[labels.codes])
    return labels


def _all_differ(labels: pd.Categorical) -> bool:
    """Tell whether each category is the label of one row; columns with others, of no row, were categories before."""
    return len(labels.categories) == len(labels) == np.unique(labels.codes[labels.codes >= 0]).size
