"""Columns of obs: numbers as they are, everything else as codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Never, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._arguments import nearest
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.cells.encoding import encoded, pieces_in_memory
from scdataset.errors import ArgumentValueError, CollectionError

__all__ = ["Categories", "Column", "ColumnValues", "joined", "no_column"]

_LISTED = 5
"""Files that a message names."""


ColumnValues: TypeAlias = Array | pd.api.extensions.ExtensionArray
"""Values of a column as they are stored, shape ``(n_obs,)``: an array, a categorical, or a masked array of pandas."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of obs.

    Attributes
    ----------
    codes
        Numbers or booleans; or codes, -1 for missing; shape ``(n_obs,)``.
    categories
        The label of each code, shape ``(n_categories,)``; None for numbers.
    ordered
        Whether the categories have an order of their own.
    """

    codes: Array
    categories: Array | None = None
    ordered: bool = False

    @classmethod
    def from_values(cls, values: object) -> "Column":
        """Make a column of the value that anndata reads: an array, a categorical, or a masked array of pandas.

        Integers and booleans of which some are missing become float64, with NaN for those. Numbers get the byte order
        of this machine.
        """
        if isinstance(values, pd.Categorical):
            return cls(np.asarray(values.codes), np.asarray(values.categories), bool(values.ordered))
        if isinstance(values, pd.api.extensions.ExtensionArray) and values.dtype.kind in "iufb":
            plain = pd.Series(values)
            if plain.isna().any():
                return cls(plain.to_numpy(np.float64, na_value=np.nan))
            return cls(plain.to_numpy(getattr(values.dtype, "numpy_dtype", None)))
        array = np.asarray(values)
        if array.dtype.kind in "iufb":
            return cls(array.astype(array.dtype.newbyteorder("="), copy=False))
        coded = encoded(pieces_in_memory(array)) if array.dtype.kind in "OU" else pd.Categorical(array)
        return cls(np.asarray(coded.codes), np.asarray(coded.categories))

    @property
    def n_bytes(self) -> int:
        """Memory that it takes, each label counted as a pointer."""
        return self.codes.nbytes + (0 if self.categories is None else self.categories.nbytes)

    def taken(self, rows: slice | NDArray[np.int64]) -> "Column":
        """Return the column at some rows; a slice is a view."""
        return replace(self, codes=self.codes[rows])

    def to_pandas(self) -> ColumnValues:
        """Return the column as it goes into a frame, over the same memory; it cannot be written to."""
        codes = self.codes.view()
        codes.flags.writeable = False
        if self.categories is None:
            return codes
        labels: pd.Index = pd.Index(self.categories)
        return pd.Categorical.from_codes(codes, labels, ordered=self.ordered)

    def missing(self, n_obs: int) -> "Column":
        """Return a column of the same kind in which all is missing: -1 for labels, NaN for numbers."""
        if self.categories is None:
            return Column(np.full(n_obs, np.nan, np.result_type(self.codes.dtype, np.float32)))
        return Column(np.full(n_obs, -1, self.codes.dtype), self.categories, self.ordered)


class Categories(dict[str, Array]):
    """Labels by column. A column without labels is a KeyError with the reason; copies and pickles are plain dicts."""

    def __init__(self, labels: Mapping[str, Array], keys: Sequence[str], in_batches: Sequence[str]) -> None:
        super().__init__(labels)
        self._keys, self._in_batches = keys, in_batches

    def __missing__(self, name: str) -> Never:
        if name in self._in_batches:
            why = "is of numbers, which have none"
        elif name in self._keys:
            why = f"is not in batches; give open_collection(..., obs=[{name!r}])"
        else:
            why = f"is no column of obs; it has {list(self._keys)}{nearest(name, self._keys)}"
        message = f"No labels of {name!r}, which {why.removesuffix('.')}."
        raise KeyError(message)

    def __reduce__(self) -> tuple[type[dict[str, Array]], tuple[dict[str, Array]]]:
        return dict, (dict(self),)


def joined(
    name: str,
    columns: Sequence[Column | None],
    paths: Sequence[str],
    sizes: Sequence[int] | None = None,
    *,
    fill: bool = False,
) -> Column:
    """Join the columns of several files, with one list of categories.

    Files that agree on the categories keep their order; otherwise all are listed in sorted order, whatever the order of
    the files.

    Parameters
    ----------
    name
        The column.
    columns, paths
        Of each file the column, None where it has none; and its path.
    sizes
        Number of rows of each file; may be left out where all have the column.
    fill
        Whether a file without the column, or with numbers where others have labels, has missing values there.

    Raises
    ------
    CollectionError
        If there is such a file, and that is not wanted.
    """
    _check_alike(name, columns, paths, fill=fill)
    there = [column for column in columns if column is not None]
    kind = next((column for column in there if column.categories is not None), there[0])
    lengths = sizes if sizes is not None else [column.codes.size for column in there]
    alike = [
        kind.missing(length) if column is None or (column.categories is None) != (kind.categories is None) else column
        for column, length in zip(columns, lengths, strict=True)
    ]
    if len(alike) == 1:
        return alike[0]
    lists = [column.categories for column in alike if column.categories is not None]
    if not lists:
        return Column(np.concatenate([column.codes for column in alike]))
    agree = all(labels is lists[0] or np.array_equal(labels, lists[0]) for labels in lists)
    categories = lists[0] if agree else _united(lists)
    place = pd.Index(categories)
    code_type = np.min_scalar_type(-max(len(categories), 1))
    # -1 takes the last entry, which is -1.
    into = {
        key: np.append(place.get_indexer(_like(labels, categories)), -1).astype(code_type)
        for key, labels in {id(labels): labels for labels in lists}.items()  # thousands of files share one
    }
    united = np.concatenate(
        [into[id(labels)][column.codes] for labels, column in zip(lists, alike, strict=True)], dtype=code_type
    )
    return Column(united, categories, agree and all(column.ordered for column in alike))


def no_column(where: str, name: str, names: Sequence[str]) -> ArgumentValueError:
    """Return the error for a column that is not in obs: the nearest names, and all there are."""
    return ArgumentValueError(f"{where}: obs has no column {name!r}; it has {list(names)}{nearest(name, names)}")


def _check_alike(name: str, columns: Sequence[Column | None], paths: Sequence[str], *, fill: bool) -> None:
    """Raise if a file lacks a column, or has numbers where others have labels, unless ``fill`` allows it."""
    labels = any(column is not None and column.categories is not None for column in columns)
    unlike = [
        f"{path} has {'no such column' if column is None else 'numbers, and others have labels'}"
        for column, path in zip(columns, paths, strict=True)
        if column is None or (labels and column.categories is None)
    ]
    if unlike and not fill:
        message = (
            f"obs[{name!r}] is not alike in {len(unlike):,} of {counted(len(paths), 'file')}: "
            f"{'; '.join(unlike[:_LISTED])}. Give "
            'missing_obs="fill" to have missing values there.'
        )
        raise CollectionError(message)


def _like(labels: Array, categories: Array) -> pd.Index:
    """Return labels as the type of the categories, where booleans among numbers are 0 and 1."""
    return pd.Index(labels if categories.dtype == object else labels.astype(categories.dtype, copy=False))


def _united(lists: Sequence[Array]) -> Array:
    """Return all categories, sorted: numbers among themselves, and before labels."""
    if all(labels.dtype.kind in "iufb" for labels in lists):
        return np.unique(np.concatenate(lists))
    distinct = {label for labels in lists for label in labels.tolist()}
    ascending = sorted(distinct, key=lambda label: (str(type(label)), label))
    united = np.empty(len(ascending), object)
    united[:] = ascending
    return united
