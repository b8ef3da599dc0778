"""Names of cells, which each cell of a collection has for itself."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scdataset.errors import CollectionError

__all__ = ["unique_cells"]

_EXAMPLES = 5


def unique_cells(names: Sequence[pd.Index | None], paths: Sequence[str]) -> pd.Index | None:
    """Return the names of all cells, in the order of the files; None if they were not read.

    Raises
    ------
    CollectionError
        If two cells have one name, with how many there are and which files they are in.
    """
    read = [index for index in names if index is not None]
    if not read:
        return None
    whole: pd.Index = pd.Index(np.concatenate([index.to_numpy(object) for index in read]), dtype=object)
    again = np.flatnonzero(whole.duplicated())
    if again.size:
        repeated = whole[again].unique()
        first = int(np.argmax(whole == repeated[0]))
        owners = np.repeat(np.arange(len(read)), [len(index) for index in read])
        one, other = (paths[owners[row]] for row in (first, again[0]))
        where = f"{one} and {other}" if one != other else f"{one} alone"
        message = (
            f"{len(repeated)} names of cells are there more than once, such as {repeated[:_EXAMPLES].tolist()}; the "
            f"first is in {where}. Give files of different cells, or unique_names=False to tell cells by their rows."
        )
        raise CollectionError(message)
    return whole
