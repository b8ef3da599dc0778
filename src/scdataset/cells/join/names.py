"""Names of cells, which each cell of a collection has for itself."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scdataset._tables import counted
from scdataset.errors import CollectionError

__all__ = ["check_unique", "joined_names"]

_EXAMPLES = 5


def joined_names(names: Sequence[pd.Index]) -> pd.Index:
    """Return the names of all cells, in the order of the files."""
    if len(names) == 1:
        return names[0]
    whole: pd.Index = pd.Index(np.concatenate([index.to_numpy(object) for index in names]), dtype=object)
    return whole


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
