"""Rows in the order of the disk, and the way back."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ascending", "runs"]


def ascending(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return the distinct rows in ascending order, and for each of ``rows`` its place among them.

    The places are None where ``rows`` already ascends strictly.
    """
    if np.all(rows[1:] > rows[:-1]):
        return rows, None
    distinct, places = np.unique(rows, return_inverse=True)
    return distinct, places


def runs(rows: NDArray[np.int64], max_gap: int) -> list[tuple[int, int]]:
    """Cut strictly ascending rows into runs ``rows[first:last]`` whose gaps leave out at most ``max_gap`` rows."""
    if rows.size == 0:
        return []
    cuts = (np.flatnonzero(rows[1:] - rows[:-1] > max_gap + 1) + 1).tolist()
    return list(zip([0, *cuts], [*cuts, rows.size], strict=True))
