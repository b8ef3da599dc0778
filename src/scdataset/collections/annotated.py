"""Cells of AnnData, taken as they are stored."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any

import anndata

from scdataset.collections.rows import RowIndex

__all__ = ["BY_ROW_OR_GENE", "as_stored", "in_memory", "matrix_of", "take", "without_matrix"]

BY_ROW_OR_GENE = ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns")
"""What an AnnData has besides X and raw."""


def take(value: Any, rows: RowIndex) -> Any:
    """Take cells: of AnnData a view for a slice, and else a copy; of anything else what indexing gives.

    A view would take all its cells along to another process, so in a worker it is a copy, which takes several times as
    long.
    """
    if not isinstance(value, anndata.AnnData):
        return value[rows]
    with as_stored():
        cells = value[rows]
        if value.isbacked:
            return in_memory(cells)
        return cells if isinstance(rows, slice) and parent_process() is None else cells.copy()


@contextmanager
def as_stored() -> Iterator[None]:
    """Keep categories that the cells at hand do not have, and let a cell be there twice, name and all."""
    with warnings.catch_warnings(), anndata.settings.override(remove_unused_categories=False):
        warnings.filterwarnings("ignore", "Observation names are not unique", UserWarning)
        yield


def in_memory(cells: anndata.AnnData) -> anndata.AnnData:
    """Return what ``to_memory`` does, which would also close the file under all who read from it."""
    parts = {name: getattr(cells, name) for name in BY_ROW_OR_GENE}
    if cells.raw is not None:
        parts["raw"] = {"X": cells.raw.X, "var": cells.raw.var, "varm": cells.raw.varm}
    loaded = anndata.AnnData(**parts).copy()
    loaded.X = matrix_of(cells)
    return loaded


def without_matrix(cells: anndata.AnnData) -> anndata.AnnData:
    """Return all but X and raw, over the same memory."""
    return anndata.AnnData(**{name: getattr(cells, name) for name in BY_ROW_OR_GENE})


def matrix_of(cells: anndata.AnnData) -> Any:
    """Return X, or None where there is none."""
    try:
        return cells.X
    except KeyError:  # a file without X
        return None
