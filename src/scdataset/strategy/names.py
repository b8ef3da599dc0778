"""Cell names: finds values and rows in the collection that are given by name, as in a pandas Series.

A strategy is made before its collection is known. Names are kept as they were given until then, and only then are the
names of the collection read::

    labels = adata.obs["cell_type"]         index: the names of the cells
    Strategy(labels)                        keeps the names beside the labels
    scDataset(adata, strategy)              compares them with adata.obs_names, and finds each cell's label by name

Values without names, and a Series with the default index 0, 1, 2, ..., go by position.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.errors import ArgumentValueError

__all__ = ["NamedRows", "names_of", "names_of_columns", "places_of", "rows_of"]

_N_NAMED = 3
"""Names that an error shows."""


def names_of(values: object) -> Array | None:
    """Return the names that go with values, shape ``(n,)``: the index of a pandas Series unless it is 0, 1, 2, ..."""
    index = getattr(values, "index", None)
    if index is None or callable(index):  # lists and tuples have a method of that name
        return None
    if (getattr(index, "start", None), getattr(index, "step", None)) == (0, 1):
        return None  # a RangeIndex, which is not made an array of 8 bytes a row
    names = np.asarray(index)
    return None if _are_numbers(names) and np.array_equal(names, np.arange(names.size)) else names


def names_of_columns(columns: object) -> Array | None:
    """Return the names that go with labels, or with all of the columns of a frame or mapping of labels."""
    if not isinstance(columns, Mapping):
        return names_of(columns)
    named = [names_of(column) for column in columns.values()]
    first = next((names for names in named if names is not None), None)
    if first is not None and any(names is None or not np.array_equal(first, names) for names in named):
        message = "match has columns with different names of rows; give a frame, whose columns share an index."
        raise ArgumentValueError(message)
    return first


class NamedRows(NamedTuple):
    """The rows of a collection and their names.

    Attributes
    ----------
    collection
        The collection; its names are read if they are asked for.
    n_rows
        Number of its rows.
    """

    collection: object
    n_rows: int

    def names(self, like: Array) -> Array | None:
        """Return the names of rows where these are of the type of ``like``, shape ``(n_rows,)``; None for nothing.

        A frame has an index, and so does obs, which may be row numbers; cells have ``obs_names``.
        """
        frame = self.collection if hasattr(self.collection, "columns") else getattr(self.collection, "obs", None)
        index = getattr(frame, "index", None)
        if index is not None and not callable(index):
            known = np.asarray(index)
            if frame is self.collection or _are_numbers(known) == _are_numbers(like):
                return known
        names = getattr(self.collection, "obs_names", None)
        return None if names is None or callable(names) else np.asarray(names)


def rows_of(argument: str, names: Array, rows: NamedRows) -> NDArray[np.int64] | None:
    """Return the row of each name, shape ``(n,)``, or None if names are those of all rows in order.

    Parameters
    ----------
    argument
        Its name in errors.

    Raises
    ------
    ArgumentValueError
        If the collection has no names, or lacks one of these, or has it twice.
    """
    known = rows.names(names)
    if known is None:
        message = (
            f"{argument} goes by names ({_shown(names)}) and the collection, of type "
            f"{type(rows.collection).__name__}, has none; where the order is that of its rows, give "
            f"{argument}.to_numpy(), or else row numbers."
        )
        raise ArgumentValueError(message)
    if np.array_equal(known, names):
        return None
    places = dict(zip(known.tolist(), range(known.size), strict=True))
    found = np.fromiter((places.get(name, -1) for name in names.tolist()), np.int64, names.size)
    n_unknown = int(np.count_nonzero(found < 0))
    if n_unknown:
        message = (
            f"{argument}: {n_unknown:,} of {counted(names.size, 'name')} {verb(n_unknown, 'are')} not in the "
            f"collection, such as {_shown(names[found < 0])}, whose rows are called {_shown(known)}. Give names that "
            f"it has, or {argument}.to_numpy() if the order is that of its rows."
        )
        raise ArgumentValueError(message)
    if len(places) < known.size:
        _refuse_repeated(argument, known[np.unique(found)], known)
    return found


def places_of(argument: str, selected: NDArray[np.int64], owners: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Return where the value of each selected row stands among values, shape ``(n_selected,)``.

    Parameters
    ----------
    selected
        Rows that values are wanted for.
    owners
        The row that each value belongs to, shape ``(n_values,)``.
    """
    places = np.full(n_rows, -1, np.int64)
    places[owners] = np.arange(owners.size)
    if np.count_nonzero(places >= 0) < owners.size:
        message = f"{argument} has several values for a row, by their names; give one value a row."
        raise ArgumentValueError(message)
    found = places[selected]
    if np.any(found < 0):
        message = (
            f"{argument} has no value for {np.count_nonzero(found < 0):,} of {counted(selected.size, 'selected row')}, "
            f"such as row {selected[np.argmin(found)]}; give one for each."
        )
        raise ArgumentValueError(message)
    return found


def _refuse_repeated(argument: str, wanted: Array, known: Array) -> None:
    names, counts = np.unique(known.astype(str), return_counts=True)
    repeated = np.intersect1d(names[counts > 1], wanted.astype(str))
    if repeated.size:
        message = (
            f"{argument} goes by names, and the collection has several rows of the same name, such as "
            f"{_shown(repeated)}; give row numbers or {argument}.to_numpy(), or make names unique."
        )
        raise ArgumentValueError(message)


def _are_numbers(names: Array) -> bool:
    return names.dtype.kind in "iu"


def _shown(names: Array) -> str:
    return ", ".join(map(repr, names[:_N_NAMED].tolist())) + (", ..." if names.size > _N_NAMED else "")
