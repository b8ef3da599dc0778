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
    codes
        Numbers or booleans; or codes, -1 for missing; shape ``(n_obs,)``.
    categories
        What the codes stand for, shape ``(n_categories,)``; None for numbers.
    ordered
        Whether the categories have an order of their own.
    """

    codes: NDArray[Any]
    categories: NDArray[Any] | None = None
    ordered: bool = False

    @classmethod
    def of(cls, values: Any) -> "Column":
        """Make a column of what anndata reads: an array, a categorical, or a masked array of pandas.

        Integers and booleans of which some are missing become float64, with NaN for those.
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
            return cls(array)
        coded = pd.Categorical(array)
        return cls(np.asarray(coded.codes), np.asarray(coded.categories))

    def to_pandas(self) -> Any:
        """Return the column as it goes into a frame."""
        if self.categories is None:
            return self.codes
        return pd.Categorical.from_codes(self.codes, pd.Index(self.categories), ordered=self.ordered)


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
    lists = [column.categories for column in columns if column.categories is not None]
    codes = [column.codes for column in columns]
    if not lists:
        return Column(np.concatenate(codes))
    if len(lists) < len(columns):
        numbers = [path for path, column in zip(paths, columns, strict=True) if column.categories is None]
        message = (
            f"obs[{name!r}] is numbers in {len(numbers)} of {len(paths)} files, first in {numbers[0]}, and labels in "
            "the others."
        )
        raise CollectionError(message)
    agree = all(np.array_equal(labels, lists[0]) for labels in lists)
    categories = lists[0] if agree else _united(lists)
    place = pd.Index(categories)
    code_type = np.min_scalar_type(-max(len(categories), 1))
    # -1 takes the last entry, which is -1.
    into = [np.append(place.get_indexer(pd.Index(labels)), -1).astype(code_type) for labels in lists]
    ordered = agree and all(column.ordered for column in columns)
    united = np.concatenate([new[old] for new, old in zip(into, codes, strict=True)])
    return Column(united, categories, ordered)


def _united(lists: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return all categories, sorted: numbers among themselves, and before labels."""
    if all(labels.dtype.kind in "iufb" for labels in lists):
        return np.unique(np.concatenate(lists))
    distinct = {label for labels in lists for label in labels.tolist()}
    ascending = sorted(distinct, key=lambda label: (str(type(label)), label))
    united = np.empty(len(ascending), object)
    united[:] = ascending
    return united
