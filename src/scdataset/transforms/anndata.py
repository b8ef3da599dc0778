"""AnnData to a container of arrays."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from scdataset._arguments import optional_names
from scdataset._types import Array
from scdataset.collections import MultiIndexable
from scdataset.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    import anndata
    import pandas as pd
    from anndata.experimental.multi_files import AnnCollectionView

__all__ = ["adata_to_mindex"]


def adata_to_mindex(
    batch: "anndata.AnnData | AnnCollectionView", columns: Sequence[str] | None = None
) -> MultiIndexable:
    """Return X and some columns of obs as a `MultiIndexable`: a ``fetch_transform`` for AnnData and AnnCollection.

    Parameters
    ----------
    batch
        AnnData, backed or not, a view of an AnnCollection, or anything with ``X`` and an ``obs`` whose columns
        ``obs[name]`` returns; shape ``(n_obs, n_vars)``.
    columns
        Columns of obs to take along; None for none.

    Returns
    -------
    ``X``, a dense array of shape ``(n_obs, n_vars)`` in the dtype it is stored in, and one modality a column: the
    values of obs, an array or a pandas Categorical.

    Raises
    ------
    KeyError
        If obs lacks a column.
    ArgumentTypeError, ArgumentValueError
        If ``columns`` is a string, or names a column ``X``, or the cells have no X.

    Examples
    --------
    >>> from functools import partial
    >>> transform = partial(adata_to_mindex, columns=["cell_type"])  # picklable, for worker processes
    """
    names = optional_names("columns", columns) or []
    if "X" in names:
        message = f'columns={names} has "X", the name that the matrix has in the result; rename that column of obs.'
        raise ArgumentValueError(message)
    cells = _without_layers(batch.to_adata) if hasattr(batch, "to_adata") else batch
    return MultiIndexable({"X": _dense(cells), **{name: _column(cells.obs, name) for name in names}})


def _without_layers(to_adata: "Callable[..., anndata.AnnData]") -> "anndata.AnnData":
    """Return cells as AnnData; those of an AnnCollection without layers, among which anndata 0.13 has X twice."""
    takes = signature(to_adata).parameters
    return to_adata(ignore_layers=True) if "ignore_layers" in takes else to_adata()


def _column(obs: "pd.DataFrame", name: str) -> object:
    """Return the values of a column: an array, a Categorical, or whatever a source of the user's own has."""
    try:
        column = obs[name]
    except (KeyError, AttributeError) as error:
        known = f"; it has {list(obs)}" if hasattr(obs, "__iter__") else ""
        message = f"obs has no column {name!r}{known}."
        raise KeyError(message) from error
    values = getattr(column, "values", column)
    is_shared = isinstance(values, np.ndarray) and not values.flags.writeable  # as those of pandas 3; torch warns
    return values.copy() if is_shared else values


def _dense(cells: "anndata.AnnData") -> Array:
    try:
        stored = cells.X
    except KeyError:  # a file without X
        stored = None
    except AttributeError as error:
        message = f"batch is of type {type(cells).__name__}, which has no X; give AnnData."
        raise ArgumentTypeError(message) from error
    if stored is None:
        message = "The cells have no X, so there is nothing to return; give a fetch_transform that takes a layer."
        raise ArgumentValueError(message)
    matrix = stored.to_memory() if hasattr(stored, "to_memory") else stored
    sparse = scipy.sparse.issparse(matrix)
    return matrix.toarray() if sparse else np.asarray(matrix)
