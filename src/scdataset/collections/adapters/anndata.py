"""AnnData, in memory and backed, lists of them, their sparse matrices on disk, and AnnCollection."""

from collections.abc import Mapping, Sequence

import anndata
import h5py
import numpy as np
from anndata.abc import CSCDataset, CSRDataset
from anndata.experimental import AnnCollection
from numpy.typing import NDArray

from scdataset._properties import cached_property
from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections.adapters.anncollection import AnnCollectionRows
from scdataset.collections.adapters.anndata_list import AnnDataListRows
from scdataset.collections.adapters.annotated import (
    SparseSetting,
    apart,
    as_stored,
    batch_taker,
    computed_here,
    cut,
    cutter,
    in_memory,
    is_lazy,
    matrix_of,
    named_layers,
    take,
    without_matrix,
)
from scdataset.collections.adapters.backed_anndata import BackedCells, BackedMatrix
from scdataset.collections.adapters.scipy import warn_if_by_column
from scdataset.collections.ascending import ascending
from scdataset.collections.handles import OwnedHandle, is_on_disk, refuse_closed
from scdataset.collections.memory import BatchTaker
from scdataset.collections.reopening import OpenedFile
from scdataset.errors import CollectionError

__all__ = ["adapt", "adapt_list", "apart", "cut", "cutter", "take"]

_TO_ROWS = "Set adata.X = adata.X.tocsr() once and, if it is a file, write it again."


class AnnDataRows(BackedCells):
    """AnnData: reading gives an AnnData in memory, with every category of obs, so that codes mean the same in each.

    X of a file that is open for reading comes from the engine; see `BackedMatrix`. All else is then as it was at the
    first read. raw is read along with X, by anndata.
    """

    def __init__(self, source: anndata.AnnData) -> None:
        on_disk = BackedMatrix.from_anndata(source) if source.raw is None else None
        super().__init__(source, on_disk, reopens=source.isbacked)
        self._is_lazy = is_lazy(source)

    def __len__(self) -> int:
        return int(self.source.n_obs)

    def _read_without_engine(self, rows: NDArray[np.int64]) -> anndata.AnnData:
        source = self.source
        if self._is_lazy:
            return self._computed(source, rows)
        if not source.isbacked:
            cells: anndata.AnnData = take(source, rows)
            return cells
        distinct, places = ascending(rows)
        with as_stored(self.sparse_arrays):
            cells = in_memory(source[distinct])
        return cells if places is None else take(cells, places)

    def batch_taker(self, *, leave: bool) -> BatchTaker | None:
        """Return a function that takes cells, for one iteration: views for a ``batch_transform``; None for windows."""
        return None if self._is_lazy else batch_taker(self.source, leave=leave)

    def _computed(self, source: anndata.AnnData, rows: NDArray[np.int64]) -> anndata.AnnData:
        """Return cells of a lazy AnnData in memory."""
        distinct, places = ascending(rows)
        with as_stored(self.sparse_arrays), computed_here():
            cells = source[distinct].to_memory()
        return cells if places is None else take(cells, places)

    @cached_property
    def _without_matrix(self) -> anndata.AnnData:
        """All but X, which is in memory."""
        return without_matrix(self.source)

    def fingerprint(self) -> str:
        """Return file, shape and the names of parts that are aligned to cells."""
        source = self.source
        parts = (self._paths[0] or "AnnData", source.shape, sorted(named_layers(source)), sorted(source.obsm))
        return ":".join(map(str, parts))

    def _adatas(self, source: anndata.AnnData) -> list[anndata.AnnData]:
        return [source]


class SparseRows(SparseSetting, OwnedHandle):
    """A sparse matrix on disk, such as X of a backed AnnData: reading gives a sparse matrix in memory."""

    def __init__(self, source: CSRDataset | CSCDataset) -> None:
        is_zarr = not isinstance(source.group, h5py.Group)
        super().__init__(_by_absolute_path(source) if is_zarr else source)
        self._metadata = _metadata_file(self.source) if is_zarr else None

    def __len__(self) -> int:
        self._open_files(self.source)
        return int(self.source.shape[0])

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows, shape ``(n, n_columns)``."""
        self.check()
        self._open_files(self.source)  # of a closed file the descriptor is open on if another handle has it open
        if self._metadata is not None:
            self._metadata.check_path()
        distinct, places = ascending(rows)
        with as_stored(self.sparse_arrays):
            matrix = self.source[distinct]
        return matrix if places is None else matrix[places]

    def fingerprint(self) -> str:
        """Return file or store, place in it, format, shape and dtype."""
        group = self.source.group
        place = self.files[0].path if self.files else getattr(group, "store_path", group.name)
        parts = (place, group.name, self.source.format, self.source.shape, self.source.dtype)
        return ":".join(map(str, parts))

    def _open_files(self, source: CSRDataset | CSCDataset) -> list[object]:
        group = source.group
        if not isinstance(group, h5py.Group):
            return []
        refuse_closed(group)
        return [group.file] if is_on_disk(group.file) else []


def _by_absolute_path(matrix: CSRDataset | CSCDataset) -> object:
    from scdataset.collections.adapters.zarr import by_absolute_path  # noqa: PLC0415 zarr is there if the matrix is in it

    group = by_absolute_path(matrix.group)
    return matrix if group is matrix.group else anndata.io.sparse_dataset(group)


def _metadata_file(matrix: CSRDataset | CSCDataset) -> OpenedFile | None:
    from scdataset.collections.adapters.zarr import metadata_file  # noqa: PLC0415 as above

    return metadata_file(matrix.group["indptr"])


def adapt(source: RowData) -> AnnDataRows | AnnCollectionRows | SparseRows | None:
    """Adapt AnnData, AnnCollection and their matrices; refuse a view of backed AnnData, which has no further views."""
    if isinstance(source, anndata.AnnData):
        _refuse_view(source)
        _warn_if_by_column(source)
        return AnnDataRows(source)
    if isinstance(source, AnnCollection):
        _refuse_lazy(source.adatas)
        _warn_if_by_column(*source.adatas)
        return AnnCollectionRows(source)
    if isinstance(source, (CSRDataset, CSCDataset)):
        warn_if_by_column(source, _TO_ROWS)
        return SparseRows(source)
    if isinstance(source, Mapping):
        names = [str(name) for name in source if name is not None]  # None is X, in anndata 0.13
        message = (
            f"The collection is a {type(source).__name__} of {counted(len(names), 'array')} ({', '.join(names)}). "
            f"Give one of them, or several by name: MultiIndexable({{name: data[name] for name in {names}}})."
        )
        raise CollectionError(message)
    if isinstance(source, anndata.Raw):
        message = "The collection is the raw of an AnnData; give adata.raw.to_adata()."
        raise CollectionError(message)
    return None


def adapt_list(source: Sequence[anndata.AnnData]) -> AnnDataListRows | None:
    """Adapt lists and tuples of nothing but AnnData."""
    if not source or not all(isinstance(adata, anndata.AnnData) for adata in source):
        return None
    for adata in source:
        _refuse_view(adata)
    _refuse_lazy(source)
    _warn_if_by_column(*source)
    return AnnDataListRows(source)


def _refuse_view(source: anndata.AnnData) -> None:
    if source.isbacked and source.is_view:
        message = (
            f"The collection is a view of {counted(source.n_obs, 'cell')} of an AnnData backed by {source.filename}, "
            "which cannot be indexed again. Give the whole AnnData, and the rows to the strategy: "
            "BlockShuffling(indices=...); or give view.to_memory()."
        )
        raise CollectionError(message)


def _refuse_lazy(adatas: Sequence[anndata.AnnData]) -> None:
    if any(map(is_lazy, adatas)):
        message = (
            f"The collection is made of {len(adatas)} AnnData, and some are lazy (anndata.experimental.read_lazy). "
            "Give anndata.concat(adatas), which is one lazy AnnData, or open_collection(paths), which is faster."
        )
        raise CollectionError(message)


def _warn_if_by_column(*adatas: anndata.AnnData) -> None:
    for adata in adatas:
        if not adata.is_view:  # of a view X is a copy
            warn_if_by_column(matrix_of(adata), _TO_ROWS)
