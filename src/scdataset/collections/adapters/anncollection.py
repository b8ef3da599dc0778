"""AnnCollection: several AnnData whose rows are read as one, and its windows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
from anndata.experimental import AnnCollection
from numpy.typing import NDArray

from scdataset._properties import cached_property
from scdataset._types import RowData
from scdataset.collections.adapters.annotated import as_stored
from scdataset.collections.adapters.backed_anndata import BackedMatrix, BackedRows
from scdataset.collections.ascending import ascending
from scdataset.collections.rows import RowIndex, Separable, cut_rows, take_rows

if TYPE_CHECKING:
    from anndata.experimental.multi_files import AnnCollectionView

__all__ = ["AnnCollectionRows", "Cells"]


class AnnCollectionRows(BackedRows):
    """AnnCollection: reading gives a view, as indexing does, but of a collection in memory of just those cells.

    X comes from the engine if all of it is in h5ad files that are open for reading, and of one type.
    """

    def __init__(self, source: AnnCollection) -> None:
        super().__init__(source, _on_disk(source), reopens=source.has_backed)

    def __len__(self) -> int:
        return len(self.source)

    def finish(self, rows: NDArray[np.int64], begun: RowData) -> "Cells":
        """Return the cells, which have ``X``, ``obs``, ``to_adata()`` and all else that a view has."""
        if not rows.size:  # an AnnCollectionView of no cells has no columns
            return self._read_without_engine(rows)
        distinct, places = ascending(rows)
        window = _Window.from_view(self.source[distinct], None, self.source)
        return Cells(replace(window.take(places), X=self.as_read(begun)), range(rows.size))

    def _read_without_engine(self, rows: NDArray[np.int64]) -> "Cells":
        if not rows.size:  # nor has it an X
            return self._read_without_engine(np.zeros(1, np.int64))[:0]
        distinct, places = ascending(rows)
        view = self.source[distinct]
        view.convert = None
        with as_stored(self.sparse_arrays):
            matrix = view.X
        return Cells(_Window.from_view(view, matrix, self.source).take(places), range(rows.size))

    def fingerprint(self) -> str:
        """Return shape and files."""
        return f"AnnCollection:{self.source.shape}:{self._paths}"

    def _adatas(self, source: AnnCollection) -> list[anndata.AnnData]:
        adatas: list[anndata.AnnData] = source.adatas
        return adatas


@dataclass(frozen=True)
class _Window:
    """Cells that were read together, in memory, as they are stored.

    Attributes
    ----------
    X
        Shape ``(n_obs, n_vars)``; None while it is not known.
    obs
        Columns, shape ``(n_obs, n_columns)``.
    obsm, layers
        Arrays of ``n_obs`` rows.
    var_names
        Names of the genes.
    convert
        The converters of the collection.
    """

    X: RowData
    obs: pd.DataFrame
    obsm: dict[str, object]
    layers: dict[str, object]
    var_names: pd.Index
    convert: object

    @classmethod
    def from_view(cls, view: "AnnCollectionView", X: RowData, source: AnnCollection) -> "_Window":  # noqa: N803 as there
        """Return the parts of a view of a collection besides X."""
        obs, obsm = ({} if part is None else part.to_dict(use_convert=False) for part in (view.obs, view.obsm))
        names = [] if view.layers is None else [name for name in view.layers.keys() if name is not None]  # noqa: SIM118
        layers = view.layers.to_dict(names, use_convert=False) if names else {}  # None is X, in anndata 0.13
        # A Series keeps its dtype; of an array of objects pandas 3 makes strings, here as in the view.
        index = view.obs_names
        columns = {
            name: column.set_axis(index) if isinstance(column, pd.Series) else column for name, column in obs.items()
        }
        return cls(X, pd.DataFrame(columns, index), obsm, layers, source.var_names, source.convert)

    def take(self, rows: RowIndex | None) -> "_Window":
        """Return some of the cells, or all for None."""
        if rows is None:
            return self
        return self._each(lambda part: take_rows(part, rows))

    def cut(self, rows: slice) -> "_Window":
        """Return cells from start to stop, without holding the memory of the others."""
        return self._each(lambda part: cut_rows(part, rows))

    def _each(self, of: Callable[[Any], Any]) -> "_Window":
        """Apply ``of`` to all parts with one entry a cell."""
        obsm, layers = ({key: of(array) for key, array in part.items()} for part in (self.obsm, self.layers))
        return replace(self, X=None if self.X is None else of(self.X), obs=of(self.obs), obsm=obsm, layers=layers)

    def to_adata(self) -> anndata.AnnData:
        """Return the cells as AnnData, over the same memory."""
        with as_stored():
            var = pd.DataFrame(index=self.var_names)
            # A dict of its own: anndata 0.13 adds X to the one that it is given.
            return anndata.AnnData(self.X, obs=self.obs.copy(), var=var, obsm=self.obsm, layers=dict(self.layers))

    @cached_property
    def view(self) -> "AnnCollectionView":
        """The cells as a view of an AnnCollection, made where something is asked for that only it has."""
        with as_stored():
            return AnnCollection([self.to_adata()], convert=self.convert)[:]


class Cells(Separable):
    """A view of an AnnCollection in memory: all that the view has, and it is pickled without the cells beside it.

    Parameters
    ----------
    window
        Cells that were read together.
    numbers
        Which of them these are, a range or an int64 array of shape ``(n,)``.
    """

    def __init__(self, window: _Window, numbers: "range | NDArray[np.int64]") -> None:
        self._window = window
        self._numbers = numbers

    @cached_property
    def _view(self) -> "AnnCollectionView":
        return self._window.view[self._rows]

    @property
    def _rows(self) -> RowIndex:
        numbers = self._numbers
        if isinstance(numbers, range) and numbers.step == 1:
            return slice(numbers.start, numbers.stop)
        return np.asarray(numbers)

    @cached_property
    def _stored(self) -> RowData:
        """X as it is stored: a part of the window where cells follow each other."""
        return take_rows(self._window.X, self._rows)

    @property
    def X(self) -> RowData:  # noqa: N802 as there
        """The matrix, shape ``(n_obs, n_vars)``, converted if the collection says so."""
        return self._stored if self._window.convert is None else self._view.X

    @property
    def convert(self) -> RowData:
        """The converters of the collection."""
        return self._window.convert

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells and of genes."""
        return len(self), len(self._window.var_names)

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        return self._window.obs.index[self._rows]

    @property
    def var_names(self) -> pd.Index:
        """Names of the genes."""
        return self._window.var_names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: object) -> "Cells":
        if isinstance(index, slice):
            return Cells(self._window, self._numbers[index])
        if isinstance(index, np.ndarray) and index.dtype.kind in "iub" and index.ndim == 1:
            return Cells(self._window, np.asarray(self._numbers)[index])
        view = self._view[index]
        view.convert = None
        window = _Window.from_view(view, view.X, view)
        return Cells(replace(window, convert=self.convert), range(len(view)))

    def cut(self, rows: slice) -> "Cells":
        """Return cells from start to stop, without holding the memory of the others."""
        part = self[rows]._rows  # noqa: SLF001 our own
        window = self._window.cut(part) if isinstance(part, slice) else self._window.take(part)
        return Cells(window, range(rows.stop - rows.start))

    def __repr__(self) -> str:
        return repr(self._view)

    def __reduce__(self) -> tuple[object, ...]:
        return Cells, (self._window.take(self._rows), range(len(self)))

    def to_adata(self, *, ignore_X: bool = False, ignore_layers: bool = False) -> anndata.AnnData:  # noqa: N803 as there
        """Return the cells as AnnData, as the view does, and also repeated ones and those without columns of obs."""
        cells = self._window.take(self._rows)
        return replace(cells, X=None if ignore_X else cells.X, layers={} if ignore_layers else cells.layers).to_adata()


def _on_disk(source: AnnCollection) -> BackedMatrix | None:
    """Return X of the collection, or None if not all of it can be read by the engine.

    Of several types anndata makes one that depends on which files a read touches, so it has to read those.
    """
    stored = BackedMatrix.from_anndata(*source.adatas)
    if stored is None or not stored.has_one_type:
        return None
    widths = [matrix.shape[1] for matrix in stored.matrices]
    tables = [_table(*which) for which in zip(source.adatas_vidx, widths, strict=True)]
    return stored.remap(tables, source.n_vars)


def _table(genes: "NDArray[np.int64] | slice | None", n_stored: int) -> NDArray[np.int32] | None:
    """Return the new numbers of stored columns, given which of them the genes of the collection are."""
    if genes is None:
        return None
    columns = np.arange(n_stored)[genes]
    table = np.full(n_stored, -1, np.int32)
    table[columns] = np.arange(columns.size)
    return table
