"""The features of 10x: genes, antibodies and more in one matrix, of one genome or several."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._arguments import nearest
from scdataset.errors import ArgumentValueError

__all__ = ["as_table", "chosen_features"]


def chosen_features(
    path: str, var: pd.DataFrame, genome: str | None, feature_types: Sequence[str] | None
) -> NDArray[np.int64] | None:
    """Return the columns of a genome and of some types, in the order of the file; None for all.

    Parameters
    ----------
    path
        The file, for messages.
    var
        All features, with columns ``genome`` and ``feature_types`` where they are known.

    Raises
    ------
    ArgumentValueError
        If there is no feature of the genome or of one of the types; it names those there are.
    """
    options = {"genome": None if genome is None else [genome], "feature_types": feature_types}
    given = {name: list(values) for name, values in options.items() if values is not None}
    if not given:
        return None
    selected = np.ones(len(var), bool)
    for name, values in given.items():
        there = var[name].value_counts().to_dict() if name in var else {}
        unknown = [value for value in values if value not in there]
        if unknown:
            near = nearest(unknown[0], there)
            message = f"{path} has no features of {name} {unknown}; there are, with their numbers, {there}{near}"
            raise ArgumentValueError(message)
        selected &= var[name].isin(values).to_numpy()
    if not selected.any():
        message = f"{path} has no features of {given}; it has some of each, and none of both."
        raise ArgumentValueError(message)
    return np.flatnonzero(selected)


def as_table(chosen: NDArray[np.int64], n_stored: int) -> tuple[NDArray[np.int32], int]:
    """Return the new numbers of stored columns, -1 for those not chosen, and the number of chosen ones."""
    table = np.full(n_stored, -1, np.int32)
    table[chosen] = np.arange(chosen.size)
    return table, chosen.size
