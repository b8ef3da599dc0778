"""Cells of AnnData, taken as they are stored."""

import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import copy, deepcopy
from functools import partial
from multiprocessing import parent_process
from typing import Any, cast

import anndata
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._types import RowData
from scdataset.collections.memory import BatchTaker
from scdataset.collections.rows import RowCutter, RowIndex, cut_rows, take_rows

__all__ = [
    "BY_ROW_OR_GENE",
    "SparseSetting",
    "apart",
    "as_stored",
    "batch_taker",
    "computed_here",
    "cut",
    "cutter",
    "in_memory",
    "is_lazy",
    "matrix_of",
    "named_layers",
    "take",
    "without_matrix",
]

BY_ROW_OR_GENE = ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns")
"""The parts of an AnnData besides X and raw."""


def take(value: anndata.AnnData, rows: RowIndex) -> anndata.AnnData:
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


def cut(value: anndata.AnnData, rows: slice) -> anndata.AnnData:
    """Copy cells; data of genes or of all cells are shared among those that are cut from the same cells."""
    return cutter(value)(value, rows)


def cutter(value: anndata.AnnData) -> RowCutter:
    """Return a function that copies cells of ``value``, for one part after the other."""
    if not isinstance(value, anndata.AnnData):
        return operator.getitem
    if value.isbacked or value.is_view or value.raw is not None or len(value.obsp):
        return _cut_by_view
    parts = _Parts(value, _shared(value))
    return lambda _, rows: parts.take(partial(_cut_part, rows), rows.stop - rows.start)


def _cut_part(rows: slice, part: RowData) -> object:
    return cut_rows(part, rows)


def _cut_by_view(value: anndata.AnnData, rows: slice) -> object:
    with as_stored():
        if value.isbacked or value.is_view or value.raw is not None:
            cells = value[rows]
            return in_memory(cells) if value.isbacked else cells.copy()
        cells = without_matrix(value)[rows].copy()  # a view lives until the garbage collector runs, X with it
        cells.X = None if value.X is None else cut_rows(value.X, rows)
        return cells


def apart(value: RowData) -> RowData:
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
    parts = _Parts(value, shared)

    def take(rows: NDArray[np.int64]) -> anndata.AnnData:
        return parts.take(lambda part: take_rows(part, rows), rows.size)

    return take


def _view(value: anndata.AnnData, rows: NDArray[np.int64]) -> anndata.AnnData:
    with as_stored():
        return value[rows]


def _shared(value: anndata.AnnData) -> dict[str, Any]:
    """Return the data that do not belong to single cells."""
    return {name: getattr(value, name) for name in ("var", "varm", "varp", "uns")}


class _Parts:
    """Takes cells of AnnData as the copy of a view has them, in a tenth of the time.

    anndata checks the names of all genes whenever an AnnData is made. They are the same in all batches, so the first
    batch of a size is made and checked, and others of this size are copies of it that are given cells of their own.

    Parameters
    ----------
    value
        All cells, in memory and without raw or obsp.
    shared
        Their data that do not belong to single cells.
    """

    def __init__(self, value: anndata.AnnData, shared: Mapping[str, Any]) -> None:
        self._value = value
        self._shared = shared
        self._empty: anndata.AnnData | None = None

    def take(self, of: Callable[[RowData], RowData], n_cells: int) -> anndata.AnnData:
        """Return ``n_cells`` cells; ``of`` takes them of each part."""
        value = self._value
        obs = of(value.obs)
        if self._empty is None or self._empty.n_obs != n_cells:
            with as_stored():
                self._empty = anndata.AnnData(obs=obs, **self._shared)
        cells = copy(self._empty)
        cells.file = type(cells.file)(cells)  # which knows whose it is
        # The setters check all names.
        vars(cells).update(_obs=obs, _var=self._empty.var.copy(deep=False))
        for name in ("varm", "varp", "uns"):
            setattr(cells, name, dict(self._shared[name]))
        cells.obsm = {key: of(array) for key, array in value.obsm.items()}
        cells.layers = {}
        cells.X = None if value.X is None else of(value.X)  # before the layers, as anndata 0.13 has it among them
        for key, layer in named_layers(value).items():
            cells.layers[key] = of(layer)
        return cells


class SparseSetting:
    """anndata's ``settings.use_sparse_array_on_read``: that of this process, or of the process that pickled this."""

    _sparse_arrays: bool | None = None

    @property
    def sparse_arrays(self) -> bool:
        """Whether a sparse matrix on disk is read as ``csr_array``, and not as ``csr_matrix``."""
        own = self._sparse_arrays
        return bool(anndata.settings.use_sparse_array_on_read) if own is None else own

    def as_read(self, matrix: RowData) -> RowData:
        """Return a matrix of the engine as the type that anndata would read, over the same memory."""
        is_other = isinstance(matrix, scipy.sparse.csr_matrix) and self.sparse_arrays
        return scipy.sparse.csr_array(cast("scipy.sparse.csr_matrix", matrix)) if is_other else matrix

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_sparse_arrays": self.sparse_arrays}


@contextmanager
def as_stored(sparse_arrays: bool | None = None) -> Iterator[None]:  # noqa: FBT001 a setting's value
    """Keep categories that the cells at hand do not have, and let a cell be there twice, name and all.

    ``sparse_arrays`` sets ``use_sparse_array_on_read``, if it is not None.
    """
    other = {} if sparse_arrays is None else {"use_sparse_array_on_read": sparse_arrays}
    settings = {"remove_unused_categories": False, "check_uniqueness": False, **other}
    with warnings.catch_warnings(), anndata.settings.override(**settings):
        warnings.filterwarnings("ignore", "Observation names are not unique", UserWarning)  # of an AnnCollection
        yield


def in_memory(cells: anndata.AnnData) -> anndata.AnnData:
    """Return cells in memory: ``to_memory`` would also close the file under all who read from it."""
    parts = _parts(cells)
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
    return anndata.AnnData(**_parts(cells))


def named_layers(cells: anndata.AnnData) -> dict[str, Any]:
    """Return the layers by name, without X, which anndata 0.13 has among them under None."""
    return {name: cells.layers[name] for name in cells.layers if name is not None}


def _parts(cells: anndata.AnnData) -> dict[str, Any]:
    """Return the parts of AnnData except X and raw, by the names of its arguments."""
    return {name: getattr(cells, name) for name in BY_ROW_OR_GENE} | {"layers": named_layers(cells)}


def matrix_of(cells: anndata.AnnData) -> Any:
    """Return X, or None where there is none."""
    try:
        return cells.X
    except KeyError:  # a file without X
        return None
