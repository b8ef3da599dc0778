"""AnnData, in memory and backed, its sparse matrices on disk, and AnnCollection."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from multiprocessing import parent_process
from typing import Any

import anndata
import numpy as np
import pandas as pd
from anndata.abc import CSCDataset, CSRDataset
from anndata.experimental import AnnCollection
from numpy.typing import NDArray

from scdataset.collections.ascending import ascending
from scdataset.collections.cells.backed import BackedMatrix
from scdataset.collections.handles import OwnedHandle
from scdataset.collections.rows import RowIndex
from scdataset.collections.scipy import warn_if_by_column
from scdataset.errors import CollectionError

__all__ = ["adapt", "take"]

_TO_ROWS = "Set adata.X = adata.X.tocsr() once and, if it is a file, write it again."
_BY_ROW_OR_GENE = ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns")


class AnnDataRows(OwnedHandle):
    """AnnData: reading gives an AnnData in memory, with every category of obs, so that codes mean the same in each.

    X of a file that is open for reading comes from the engine; see `BackedMatrix`. All else is then as it was at the
    first read.
    """

    def __init__(self, source: anndata.AnnData) -> None:
        super().__init__(source, reopens=source.isbacked)
        self._on_disk = BackedMatrix.of(source) if source.isbacked else None

    def __len__(self) -> int:
        return int(self.source.n_obs)

    def read(self, rows: NDArray[np.int64]) -> anndata.AnnData:
        """Return the cells, with obs, obsm, layers and raw."""
        source = self.source
        if not source.isbacked:
            return take(source, rows)
        if self._on_disk is not None:
            return self.finish(rows, self.begin(rows))
        wanted, places = ascending(rows)
        with _as_stored():
            cells = _in_memory(source[wanted])
        return cells if places is None else take(cells, places)

    @property
    def reads_ahead(self) -> bool:
        """Whether X may be read in a background thread."""
        return self._on_disk is not None

    @property
    def _engine(self) -> BackedMatrix:
        assert self._on_disk is not None  # noqa: S101 asked of those only that read ahead
        return self._on_disk

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that X of these cells will be read soon."""
        self._engine.announce(rows)

    def begin(self, rows: NDArray[np.int64]) -> Any:
        """Read X."""
        return self._engine.read(rows)

    def finish(self, rows: NDArray[np.int64], begun: Any) -> anndata.AnnData:
        """Return the cells, given their X."""
        with _as_stored():
            cells = self._without_matrix[rows].copy()
        cells.X = begun
        return cells

    def share_threads(self, processes: int) -> None:
        """Use one of so many shares of the cores: the DataLoader workers of one machine read together."""
        if self._on_disk is not None:
            self._on_disk.share_threads(processes)

    @cached_property
    def _without_matrix(self) -> anndata.AnnData:
        """All but X, which is in memory."""
        return anndata.AnnData(**{name: getattr(self.source, name) for name in _BY_ROW_OR_GENE})

    def fingerprint(self) -> str:
        """Return file, shape and the names of what is aligned to cells."""
        source = self.source
        parts = (source.filename or "AnnData", source.shape, sorted(source.layers), sorted(source.obsm))
        return ":".join(map(str, parts))

    def _opened_again(self) -> Any:
        self._source.file.open()  # what is in memory came along
        return self._source


class AnnCollectionRows(OwnedHandle):
    """AnnCollection: reading gives what indexing gives, a view, here of a collection in memory of just those cells."""

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> "Cells":
        """Return the cells, which have ``X``, ``obs``, ``to_adata()`` and all else that a view has."""
        if not rows.size:  # an AnnCollectionView of no cells has no X
            return self.read(np.zeros(1, np.int64))[:0]
        wanted, places = ascending(rows)
        adata = _collected(self.source[wanted])
        return _cells(adata if places is None else take(adata, places), self.source.convert)

    def fingerprint(self) -> str:
        """Return shape and files."""
        return f"AnnCollection:{self.source.shape}:{[adata.filename for adata in self.source.adatas]}"

    def _opened_again(self) -> Any:
        for adata in self._source.adatas:
            if adata.isbacked:
                adata.file.open()
        return self._source


class SparseRows(OwnedHandle):
    """A sparse matrix on disk, such as X of a backed AnnData: reading gives a sparse matrix in memory."""

    def __len__(self) -> int:
        return int(self.source.shape[0])

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Return the rows, shape ``(n, n_columns)``."""
        wanted, places = ascending(rows)
        matrix = self.source[wanted]
        return matrix if places is None else matrix[places]

    def fingerprint(self) -> str:
        """Return file or store, place in it, format, shape and dtype."""
        group = self.source.group
        file = getattr(group, "file", group.name)
        parts = (getattr(file, "filename", file), group.name, self.source.format, self.source.shape, self.source.dtype)
        return ":".join(map(str, parts))


class Cells:
    """A view of an AnnCollection in memory: all that the view has, and it is pickled without the cells beside it."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: Any) -> "Cells":
        return Cells(self._view[index])

    def __repr__(self) -> str:
        return repr(self._view)

    def __reduce__(self) -> tuple[Any, ...]:
        return _cells, (self.to_adata(), self.convert)

    def to_adata(self, *, ignore_X: bool = False, ignore_layers: bool = False) -> anndata.AnnData:  # noqa: N803 as there
        """Return the cells as AnnData, as the view does, and also repeated ones and those without columns of obs."""
        return _collected(self._view, ignore_X=ignore_X, ignore_layers=ignore_layers)


def adapt(source: Any) -> AnnDataRows | AnnCollectionRows | SparseRows | None:
    """Adapt AnnData, AnnCollection and their matrices; refuse a view of backed AnnData, which has no further views."""
    if isinstance(source, anndata.AnnData):
        if source.isbacked and source.is_view:
            message = (
                f"The collection is a view of {source.n_obs} cells of an AnnData backed by {source.filename}, which "
                "cannot be indexed again. Give the whole AnnData, and the rows to the strategy: "
                "BlockShuffling(indices=...); or give view.to_memory()."
            )
            raise CollectionError(message)
        _warn_if_by_column(source)
        return AnnDataRows(source)
    if isinstance(source, AnnCollection):
        _warn_if_by_column(*source.adatas)
        return AnnCollectionRows(source, reopens=source.has_backed)
    if isinstance(source, (CSRDataset, CSCDataset)):
        warn_if_by_column(source, _TO_ROWS)
        return SparseRows(source)
    return None


def _warn_if_by_column(*adatas: anndata.AnnData) -> None:
    for adata in adatas:
        if not adata.is_view:  # of a view X is a copy
            warn_if_by_column(_matrix(adata), _TO_ROWS)


def take(value: Any, rows: RowIndex) -> Any:
    """Take cells: of AnnData a view for a slice, and else a copy; of anything else what indexing gives.

    A view would take all its cells along to another process, so in a worker it is a copy, which takes several times as
    long.
    """
    if not isinstance(value, anndata.AnnData):
        return value[rows]
    with _as_stored():
        cells = value[rows]
        if value.isbacked:
            return _in_memory(cells)
        return cells if isinstance(rows, slice) and parent_process() is None else cells.copy()


@contextmanager
def _as_stored() -> Iterator[None]:
    """Keep categories that the cells at hand do not have, and let a cell be there twice, name and all."""
    with warnings.catch_warnings(), anndata.settings.override(remove_unused_categories=False):
        warnings.filterwarnings("ignore", "Observation names are not unique", UserWarning)
        yield


def _in_memory(cells: anndata.AnnData) -> anndata.AnnData:
    """Return what ``to_memory`` does, which would also close the file under all who read from it."""
    parts = {name: getattr(cells, name) for name in _BY_ROW_OR_GENE}
    if cells.raw is not None:
        parts["raw"] = {"X": cells.raw.X, "var": cells.raw.var, "varm": cells.raw.varm}
    loaded = anndata.AnnData(**parts).copy()
    loaded.X = _matrix(cells)
    return loaded


def _matrix(cells: anndata.AnnData) -> Any:
    """Return X, or None where there is none."""
    try:
        return cells.X
    except KeyError:  # a file without X
        return None


def _collected(view: Any, *, ignore_X: bool = False, ignore_layers: bool = False) -> anndata.AnnData:  # noqa: N803
    """Return cells of an AnnCollection in memory, as they are stored."""
    plain = view[:]  # a view of its own, of which the converters can be taken
    plain.convert = None
    obs, obsm, layers = ({} if part is None else part.to_dict() for part in (plain.obs, plain.obsm, plain.layers))
    with _as_stored():
        return anndata.AnnData(
            None if ignore_X else plain.X,
            obs=pd.DataFrame({name: getattr(c, "array", c) for name, c in obs.items()}, plain.obs_names),
            var=pd.DataFrame(index=plain.var_names),
            obsm=obsm,
            layers=None if ignore_layers else layers,
        )


def _cells(adata: anndata.AnnData, convert: Any) -> Cells:
    with _as_stored():
        return Cells(AnnCollection([adata], convert=convert)[:])
