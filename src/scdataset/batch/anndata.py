"""AnnData to a container of arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from scdataset.multiindexable import MultiIndexable

__all__ = ["adata_to_mindex"]


def adata_to_mindex(batch: Any, columns: Sequence[str] | None = None) -> MultiIndexable:
    """Return X and some columns of obs as a `MultiIndexable`: a ``fetch_transform`` for AnnData and AnnCollection.

    Parameters
    ----------
    batch
        AnnData, backed or not, or a view of an AnnCollection; shape ``(n_obs, n_vars)``.
    columns
        Columns of obs to take along; None for none.

    Returns
    -------
    ``X``, a dense array of shape ``(n_obs, n_vars)`` in the dtype it is stored in, and one modality a column: the values
    of obs, an array or a pandas Categorical.

    Raises
    ------
    KeyError
        If obs lacks a column.

    Examples
    --------
    >>> from functools import partial
    >>> transform = partial(adata_to_mindex, columns=["cell_type"])  # picklable, for worker processes
    """
    cells = batch.to_memory() if hasattr(batch, "to_memory") else batch.to_adata()
    X = cells.X.toarray() if scipy.sparse.issparse(cells.X) else np.asarray(cells.X)  # noqa: N806 the field's name
    missing = [column for column in columns or () if column not in cells.obs]
    if missing:
        message = f"obs has no column {missing}; it has {list(cells.obs.columns)}."
        raise KeyError(message)
    return MultiIndexable({"X": X, **{column: cells.obs[column].values for column in columns or ()}})
