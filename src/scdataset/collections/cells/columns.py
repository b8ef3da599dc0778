"""Columns of obs: numbers as they are, everything else as codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset.errors import CollectionError

__all__ = ["Column", "joined"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of obs.

    Attributes
    ----------
    values
        Numbers or booleans; or codes, -1 for missing; shape ``(n_obs,)``.
    categories
        What the codes stand for, shape ``(n_categories,)``; None for numbers.
    """

    values: NDArray[Any]
    categories: NDArray[Any] | None = None

    @classmethod
    def of(cls, values: Any) -> "Column":
        """Make a column of what anndata reads: an array, a categorical, or a masked array of pandas."""
        if isinstance(values, pd.Categorical):
            return cls(np.asarray(values.codes), np.asarray(values.categories))
        if isinstance(values, pd.api.extensions.ExtensionArray) and values.dtype.kind in "iufb":
            plain = pd.Series(values)
            return cls(
                plain.to_numpy(np.float64, na_value=np.nan)
                if plain.isna().any()
                else plain.to_numpy(plain.dtype.numpy_dtype)
            )
        array = np.asarray(values)
        if array.dtype.kind in "iufb":
            return cls(array)
        coded = pd.Categorical(array)
        return cls(np.asarray(coded.codes), np.asarray(coded.categories))


def joined(name: str, columns: Sequence[Column], paths: Sequence[str]) -> Column:
    """Join the columns of several files, with one list of categories.

    Files that agree on the categories keep their order; otherwise all are listed in sorted order.

    Raises
    ------
    CollectionError
        If the column is numbers in one file and categories in another.
    """
    if len(columns) == 1:
        return columns[0]
    if len({column.categories is None for column in columns}) > 1:
        numbers = [path for path, column in zip(paths, columns, strict=True) if column.categories is None]
        message = f"obs[{name!r}] is numbers in {len(numbers)} of {len(paths)} files (first {numbers[0]}) and labels in others."
        raise CollectionError(message)
    if columns[0].categories is None:
        return Column(np.concatenate([column.values for column in columns]))
    first = columns[0].categories
    categories = first
    if not all(column.categories is not None and np.array_equal(column.categories, first) for column in columns):
        categories = np.array(sorted({label for column in columns for label in column.categories or ()}), dtype=object)
    place = pd.Index(categories)
    codes = []
    for column in columns:
        into = np.append(place.get_indexer(column.categories), -1).astype(np.min_scalar_type(-max(len(categories), 1)))
        codes.append(into[column.values])  # -1 takes the last entry, which is -1
    return Column(np.concatenate(codes), categories)
