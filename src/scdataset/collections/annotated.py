"""Cells of AnnData, taken as they are stored."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any

import anndata

from scdataset.collections.rows import RowIndex, cut_rows

__all__ = ["BY_ROW_OR_GENE", "as_stored", "cut", "in_memory", "matrix_of", "take", "without_matrix"]

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


def cut(value: Any, rows: slice) -> Any:
    """Copy cells; what belongs to genes or to all cells is shared among those that are cut from the same cells."""
    if not isinstance(value, anndata.AnnData):
        return value[rows]
    with as_stored():
        if value.isbacked or value.is_view or value.raw is not None or len(value.obsp):
            cells = value[rows]
            return in_memory(cells) if value.isbacked else cells.copy()
        return _cut_by_parts(value, rows)


def _cut_by_parts(value: anndata.AnnData, rows: slice) -> anndata.AnnData:
    """Return cells as the copy of a view has them, in half the time."""
    obsm, layers = ({key: cut_rows(array, rows) for key, array in d.items()} for d in (value.obsm, value.layers))
    shared = {name: dict(getattr(value, name)) for name in ("varm", "varp", "uns")}
    X = None if value.X is None else cut_rows(value.X, rows)  # noqa: N806 as there
    return anndata.AnnData(X, obs=cut_rows(value.obs, rows), var=value.var, obsm=obsm, layers=layers, **shared)


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
