"""Library sizes: the total counts of cells."""

import numpy as np
import pandas as pd

from scdataset.pp.checks import check_not_negative
from scdataset.pp.streaming import Cells, Window

__all__ = ["library_sizes"]


def library_sizes(cells: object, *, indices: object = None, progress: bool = True) -> "pd.Series[float]":
    """Return the total counts of every cell, in one pass.

    Parameters
    ----------
    cells
        A collection, as `open_collection` returns it, or AnnData.
    indices
        Rows, each once, such as those of training; None for all.
    progress
        Whether to show a bar if it takes more than a second.

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
    totals = np.empty(chosen.rows.size)

    def work(window: Window) -> None:
        check_not_negative(window.matrix, "library_sizes")
        totals[window.places] = window.totals

    chosen.each("Adding up the counts of cells", work, progress=progress)
    return pd.Series(chosen.as_given(totals), index=chosen.index, name="total_counts")
