"""Names of cells, which each cell of a collection has for itself."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._tables import counted, verb
from scdataset.errors import ArgumentIndexError, CollectionError

__all__ = ["are_names", "check_unique", "joined_names", "rows_of_names"]

_EXAMPLES = 5


def joined_names(names: Sequence[pd.Index]) -> pd.Index:
    """Return the names of all cells, in the order of the files."""
    if len(names) == 1:
        return names[0]
    whole: pd.Index = pd.Index(np.concatenate([index.to_numpy(object) for index in names]), dtype=object)
    return whole


def are_names(rows: object) -> bool:
    """Tell whether rows are given as a list or array of names."""
    if isinstance(rows, (list, tuple)):
        return bool(rows) and isinstance(rows[0], str)
    kind = getattr(getattr(rows, "dtype", None), "kind", "")
    return (
        kind in ("O", "U", "T")
        and getattr(rows, "ndim", 1) == 1
        and pd.api.types.infer_dtype(rows, skipna=False) == "string"
    )


def rows_of_names(given: object, names: pd.Index) -> NDArray[np.int64]:
    """Return the row of each name.

    Raises
    ------
    ArgumentIndexError
        If no cell has that name, or several have.
    """
    wanted: pd.Index = pd.Index(np.asarray(given, dtype=object))
    known = names[names.isin(wanted)]
    if not known.is_unique:
        again = known[known.duplicated()]
        message = (
            f"Rows are given by name, and several cells are called {again[0]!r}; open the collection with "
            "index_unique, or give row numbers."
        )
        raise ArgumentIndexError(message)
    unknown = wanted[~wanted.isin(known)]
    if len(unknown):
        message = (
            f"{len(unknown):,} of {counted(len(wanted), 'name')} {verb(len(unknown), 'are')} not of cells, such as "
            f"{unknown[0]!r}; cells are called {', '.join(map(repr, names[:3]))}, ..."
        )
        raise ArgumentIndexError(message)
    return np.asarray(names.get_indexer_for(wanted), np.int64)


def check_unique(whole: pd.Index, sizes: Sequence[int], paths: Sequence[str]) -> None:
    """Raise if two cells of a collection have one name, with how many there are and which files they are in.

    Parameters
    ----------
    whole
        Names of all cells.
    sizes, paths
        Of each file its number of cells, and its path.
    """
    again = np.flatnonzero(whole.duplicated())
    if again.size:
        repeated = whole[again].unique()
        first = int(np.argmax(whole == repeated[0]))
        owners = np.repeat(np.arange(len(sizes)), sizes)
        one, other = (paths[owners[row]] for row in (first, again[0]))
        where = f"{one} and {other}" if one != other else f"{one} alone"
        message = (
            f"The cells have {counted(len(repeated), 'name')} more than once, such as {repeated[:_EXAMPLES].tolist()}; "
            f"the first is in {where}. Give files of different cells, index_unique='-' to add the file to each name, "
            "or unique_names=False to tell cells by their rows."
        )
        raise CollectionError(message)
