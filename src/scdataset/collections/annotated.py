"""Cells of AnnData, taken as they are stored."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from functools import partial
from multiprocessing import parent_process
from typing import Any

import anndata
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset.collections.memory import BatchTaker
from scdataset.collections.rows import RowIndex, cut_rows, take_rows

__all__ = [
    "BY_ROW_OR_GENE",
    "SparseSetting",
    "apart",
    "as_stored",
    "batch_taker",
    "computed_here",
    "cut",
    "in_memory",
    "is_lazy",
    "matrix_of",
    "take",
    "without_matrix",
]

BY_ROW_OR_GENE = ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns")
"""What an AnnData has besides X and raw."""


def take(value: Any, rows: RowIndex) -> Any:
    """Take cells: of AnnData a view for a slice, and else a copy; of anything else by indexing it.

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
    """Copy cells; data of genes or of all cells are shared among those that are cut from the same cells."""
    if not isinstance(value, anndata.AnnData):
        return value[rows]
    with as_stored():
        if value.isbacked or value.is_view or value.raw is not None:
            cells = value[rows]
            return in_memory(cells) if value.isbacked else cells.copy()
        if len(value.obsp):  # a view lives until the garbage collector runs, and may not hold X until then
            cells = without_matrix(value)[rows].copy()
            cells.X = None if value.X is None else cut_rows(value.X, rows)
            return cells
        return _by_parts(value, lambda part: cut_rows(part, rows), _shared(value))


def apart(value: Any) -> Any:
    """Return cells that are no view of others."""
    return value.copy() if isinstance(value, anndata.AnnData) and value.is_view else value


def batch_taker(value: anndata.AnnData, *, leave: bool) -> BatchTaker | None:
    """Return a function that takes cells of AnnData in memory; None for those that only anndata can copy.

    Copies share the data of genes and of all cells: a copy of these as they are now.
    """
    if not leave and not value.isbacked:
        return partial(_view, value)
    if value.isbacked or value.is_view or value.raw is not None or len(value.obsp):
        return None
    shared = {name: deepcopy(part if name == "var" else dict(part)) for name, part in _shared(value).items()}

    def take(rows: NDArray[np.int64]) -> anndata.AnnData:
        with as_stored():
            return _by_parts(value, lambda part: take_rows(part, rows), shared)

    return take


def _view(value: anndata.AnnData, rows: NDArray[np.int64]) -> anndata.AnnData:
    with as_stored():
        return value[rows]


def _shared(value: anndata.AnnData) -> dict[str, Any]:
    """Return the data that do not belong to single cells."""
    return {name: getattr(value, name) for name in ("var", "varm", "varp", "uns")}


def _by_parts(value: anndata.AnnData, of: Callable[[Any], Any], shared: Mapping[str, Any]) -> anndata.AnnData:
    """Return some cells as the copy of a view has them, in half the time; ``of`` takes them of each part."""
    obsm, layers = ({key: of(array) for key, array in parts.items()} for parts in (value.obsm, value.layers))
    X = None if value.X is None else of(value.X)  # noqa: N806 as there
    own = {name: part if name == "var" else dict(part) for name, part in shared.items()}
    return anndata.AnnData(X, obs=of(value.obs), obsm=obsm, layers=layers, **own)


class SparseSetting:
    """anndata's ``settings.use_sparse_array_on_read``: that of this process, or of the process that pickled this."""

    _sparse_arrays: bool | None = None

    @property
    def sparse_arrays(self) -> bool:
        """Whether a sparse matrix on disk is read as ``csr_array``, and not as ``csr_matrix``."""
        own = self._sparse_arrays
        return bool(anndata.settings.use_sparse_array_on_read) if own is None else own

    def as_read(self, matrix: Any) -> Any:
        """Return a matrix of the engine as the type that anndata would read, over the same memory."""
        is_other = isinstance(matrix, scipy.sparse.csr_matrix) and self.sparse_arrays
        return scipy.sparse.csr_array(matrix) if is_other else matrix

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sparse_arrays": self.sparse_arrays}


@contextmanager
def as_stored(sparse_arrays: bool | None = None) -> Iterator[None]:  # noqa: FBT001 a setting's value
    """Keep categories that the cells at hand do not have, and let a cell be there twice, name and all.

    ``sparse_arrays`` sets ``use_sparse_array_on_read``, if it is not None.
    """
    other = {} if sparse_arrays is None else {"use_sparse_array_on_read": sparse_arrays}
    with warnings.catch_warnings(), anndata.settings.override(remove_unused_categories=False, **other):
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


def is_lazy(cells: anndata.AnnData) -> bool:
    """Tell whether arrays are those of dask, or obs one of xarray, as of `anndata.experimental.read_lazy`."""
    if hasattr(cells.obs, "to_memory"):
        return True
    if cells.isbacked:
        return False
    few = cells[:0] if cells.is_view else cells  # arrays of a view are copies
    arrays = (few.X, *few.layers.values(), *few.obsm.values())
    return any(type(array).__module__.startswith("dask.") for array in arrays)


@contextmanager
def computed_here() -> Iterator[None]:
    """Compute lazy arrays in this thread in a worker, which lacks the threads of dask if it was forked."""
    dask = sys.modules.get("dask")
    with nullcontext() if dask is None or parent_process() is None else dask.config.set(scheduler="synchronous"):
        yield


def without_matrix(cells: anndata.AnnData) -> anndata.AnnData:
    """Return all but X and raw, over the same memory."""
    return anndata.AnnData(**{name: getattr(cells, name) for name in BY_ROW_OR_GENE})


def matrix_of(cells: anndata.AnnData) -> Any:
    """Return X, or None where there is none."""
    try:
        return cells.X
    except KeyError:  # a file without X
        return None
