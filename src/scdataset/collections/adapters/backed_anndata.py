"""X of backed AnnData, read by the engine."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
from numpy.typing import NDArray

from scdataset._types import RowData
from scdataset.cells.formats.h5ad import H5adFile
from scdataset.collections.adapters.annotated import SparseSetting, as_stored
from scdataset.collections.handles import OwnedHandle, descriptor_of, opened_file
from scdataset.collections.reopening import OpenedFile
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.buffers import BufferPool
from scdataset.engine.containers.handles import handles_open
from scdataset.engine.containers.hdf5 import H5File
from scdataset.engine.containers.hdf5_groups import datasets_within
from scdataset.engine.containers.hdf5_links import check_parts
from scdataset.engine.containers.hdf5_sources import OtherFiles
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.parts import Matrix
from scdataset.engine.matrices.stack import Stack
from scdataset.errors import ScDatasetError

__all__ = ["BackedCells", "BackedMatrix", "BackedRows"]


class BackedMatrix:
    """X of h5ad files that AnnData have open for reading, one below the other.

    Attributes
    ----------
    matrices
        The engine's matrices, one a file.
    """

    def __init__(self, matrices: Sequence[Matrix]) -> None:
        self.matrices = list(matrices)
        self._stack = Stack(self.matrices)
        self._context = ReadContext(buffers=BufferPool(is_of_windows=True))

    @classmethod
    def from_anndata(cls, *sources: anndata.AnnData) -> "BackedMatrix | None":
        """Return the matrices under ``sources``, or None where anndata itself has to read one of them.

        It reads views and cells in memory, files that are open for writing, which may change under the engine, matrices
        that `open_collection` would refuse, and sparse and dense ones together.
        """
        matrices: list[Matrix] = []
        for source in sources:
            matrix = _stored(source)
            if matrix is None or matrix.kind != (matrices or [matrix])[0].kind:
                return None
            matrices.append(matrix)
        return cls(matrices)

    @property
    def has_one_type(self) -> bool:
        """Whether all values are of one type, and in the byte order of this machine."""
        return len({matrix.dtype for matrix in self.matrices}) == 1 and self.matrices[0].dtype.isnative

    def remap(self, tables: Sequence[NDArray[np.int32] | None], n_columns: int) -> "BackedMatrix":
        """Return the matrices with ``n_columns`` other columns; see `CsrMatrix`. None leaves columns as they are."""
        if all(table is None for table in tables):
            return self
        every = [np.arange(n_columns, dtype=np.int32) if table is None else table for table in tables]
        return BackedMatrix([m.remap(table, n_columns) for m, table in zip(self.matrices, every, strict=True)])

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return rows, in any order and repeated or not."""
        with handles_open():
            return self._stack.read(rows, self._context)

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows will be read soon; see `Matrix`."""
        return self._stack.announce(rows)

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the bytes and chunks that reading these rows would touch."""
        return self._stack.read_cost(rows)

    def share_threads(self, processes: int) -> None:
        """Divide the cores among ``processes`` workers."""
        self._context.threads.share_among(processes)


def _stored(source: anndata.AnnData) -> Matrix | None:
    """Return the engine's matrix for X of an AnnData, or None."""
    if not source.isbacked or source.is_view:
        return None
    with suppress(KeyError):
        stored = getattr(source.X, "group", source.X)
        for dataset in datasets_within(stored, 1):
            if dataset.is_virtual or dataset.external:  # where a file is not there, anndata reads zeros
                check_parts(dataset, OtherFiles())
        if stored.file.mode == "r" and stored.name == "/X":
            with suppress(ScDatasetError, OSError):
                matrix = _matrix_of(opened_file(stored.file))
                # Half floats that are sparse come as other types from the engine.
                return matrix if matrix is not None and matrix.dtype == source.X.dtype.newbyteorder("=") else None
    return None


def _matrix_of(opened: OpenedFile) -> Matrix | None:
    """Return X of an h5ad file that is open, or None where its path does not lead to it any more."""
    file = H5File(opened.path)
    if file.bytes.identity != opened.identity.content:
        return None
    with handles_open():
        return H5adFile(opened.path, layer=None, opened=file).matrix


class BackedRows(SparseSetting, OwnedHandle, ABC):
    """AnnData, one or several: X comes from the engine if it can read all of it, and in the background then.

    Parameters
    ----------
    source
        The AnnData, or the collection of them, that the user gave.
    on_disk
        X, or None where anndata has to read it.
    reopens
        Whether something of it has to be opened again in another process.
    """

    def __init__(self, source: RowData, on_disk: BackedMatrix | None, *, reopens: bool) -> None:
        super().__init__(source, reopens=reopens)
        self._on_disk = on_disk

    @property
    def source(self) -> Any:
        """The AnnData, open in this process: anndata itself would open any file that its path leads to by now."""
        source = super().source
        for adata, opened in zip(self._backed(source), self.files, strict=True):
            if not adata.file.is_open:
                _open_again(adata, opened)
                self._descriptors = None
        return source

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the cells, in any order and repeated or not."""
        if self.reads_ahead:
            return self.finish(rows, self.begin(rows))
        self.check()
        return self._read_without_engine(rows)

    @property
    def file_sizes(self) -> list[int]:
        """Number of cells in each AnnData, in the order of the rows."""
        return [adata.n_obs for adata in self._adatas(self.source)]

    @property
    def reads_ahead(self) -> bool:
        """Whether X may be read in a background thread."""
        return self._on_disk is not None

    @property
    def is_remote(self) -> bool:
        """False: AnnData have files open."""
        return False

    @property
    def reads_whole(self) -> bool:
        """False: all but X is read in the consumer's thread."""
        return False

    @property
    def _engine(self) -> BackedMatrix:
        assert self._on_disk is not None  # noqa: S101 asked of those only that read ahead
        return self._on_disk

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that X of these cells will be read soon; see `Matrix`."""
        return self._engine.announce(rows)

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the bytes and chunks that reading X of these cells would touch."""
        return ReadCost.unknown() if self._on_disk is None else self._on_disk.read_cost(rows)

    def begin(self, rows: NDArray[np.int64]) -> RowData:
        """Read X, and touch nothing of the user's."""
        return self._engine.read(rows)

    @abstractmethod
    def finish(self, rows: NDArray[np.int64], begun: RowData) -> RowData:
        """Return the cells, given their X."""

    @abstractmethod
    def _adatas(self, source: Any) -> Sequence[anndata.AnnData]:
        """Return the AnnData that the cells are of."""

    def _backed(self, source: RowData) -> list[anndata.AnnData]:
        return [adata for adata in self._adatas(source) if adata.isbacked]

    def _open_files(self, source: RowData) -> list[h5py.File]:
        return [_open_file(adata) for adata in self._backed(source)]

    def _opened_again(self) -> RowData:
        for adata, opened in zip(self._backed(self._source), self.files, strict=True):
            _open_again(adata, opened)  # data in memory came along
        return self._source

    @property
    def _paths(self) -> list[Path | None]:
        """Where the file of each AnnData is, absolute; None for one that is in memory."""
        places = iter(self.files)
        return [Path(next(places).path) if adata.isbacked else None for adata in self._adatas(self._source)]

    @abstractmethod
    def _read_without_engine(self, rows: NDArray[np.int64]) -> RowData:
        """Return the cells, read by anndata."""

    def share_threads(self, processes: int) -> None:
        """Divide the cores among ``processes`` DataLoader workers of this machine, which read together."""
        if self._on_disk is not None:
            self._on_disk.share_threads(processes)


class BackedCells(BackedRows):
    """AnnData, one or several, of which all but X is in memory once it was read."""

    def finish(self, rows: NDArray[np.int64], begun: RowData) -> anndata.AnnData:
        """Return the cells, with all but X from memory, given their X."""
        with as_stored():
            cells = self._without_matrix[rows].copy()
        cells.X = self.as_read(begun)
        return cells

    @property
    @abstractmethod
    def _without_matrix(self) -> anndata.AnnData:
        """The cells but X, in memory."""


def _open_file(adata: anndata.AnnData) -> h5py.File:
    """Return the open file of a backed AnnData."""
    if not adata.file.is_open:
        adata.file.open()
    return adata.file["obs"].file


def _open_again(adata: anndata.AnnData, opened: OpenedFile) -> None:
    """Open the file of a backed AnnData, and no other that its path may lead to by now."""
    named = str(Path(adata.filename).absolute())
    opened.reopen(lambda path: adata.file.open(None if path == named else path))
    descriptor = descriptor_of(_open_file(adata))
    if descriptor is not None:
        opened.check(descriptor)
