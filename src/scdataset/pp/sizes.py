"""Library sizes: the total counts of cells."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scdataset.pp.checks import check_not_negative
from scdataset.pp.streaming import Cells, Pass, Window

__all__ = ["library_sizes"]


def library_sizes(
    cells: object, *, indices: ArrayLike | None = None, progress: bool = True, engine: object = None
) -> "pd.Series[float]":
    """Return the total counts of every cell, in one pass.

    Parameters
    ----------
    cells
        A collection, as `open_collection` returns it, or AnnData.
    indices
        Rows, each once, such as those of training; None for all.
    progress
        Whether to show a bar if it takes more than a second.
    engine
        Who makes the pass: None for this process, ``"ray"`` for all CPUs of a Ray cluster, or
        `scdataset.integrations.ray.Actors`. Results are the same.

    Returns
    -------
    pandas.Series
        ``total_counts``, float64, shape ``(n_rows,)``, in the order of ``indices``; its index is that of ``cells.obs``.
        Of a collection of chosen genes (``genes=...``) it is the sum over those, or with ``row_sums=True`` over all.

    Raises
    ------
    ArgumentValueError
        If a value is negative or missing.

    Examples
    --------
    The median over cells that are not empty, as scanpy's ``normalize_total`` takes it by itself:

    >>> NormalizeTotal(None, library_sizes=library_sizes(cells, indices=train))  # doctest: +SKIP
    """
    chosen = Cells(cells, indices)
    totals = chosen.over("Adding up the counts of cells", _SizesPass(), progress=progress, engine=engine)
    return pd.Series(chosen.as_given(totals), index=chosen.index, name="total_counts")


class _SizesPass(Pass[NDArray[np.float64]]):
    """Total counts of cells, shape ``(n_rows,)``."""

    def begin(self, n_rows: int) -> NDArray[np.float64]:
        """Return room for them."""
        return np.empty(n_rows)

    def add(self, totals: NDArray[np.float64], window: Window) -> None:
        """Set those of a window."""
        check_not_negative(window.matrix, "library_sizes")
        totals[window.places] = window.totals

    def join(self, totals: NDArray[np.float64], part: NDArray[np.float64], places: slice) -> None:
        """Set those of a part."""
        totals[places] = part
