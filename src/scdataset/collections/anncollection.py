"""AnnCollection: several AnnData whose rows are read as one, and what reading it gives."""

from functools import cached_property
from typing import Any

import anndata
import numpy as np
import pandas as pd
from anndata.experimental import AnnCollection
from numpy.typing import NDArray

from scdataset.collections.annotated import as_stored, take
from scdataset.collections.ascending import ascending
from scdataset.collections.cells.backed import BackedMatrix, BackedRows
from scdataset.collections.rows import RowIndex, take_rows

__all__ = ["AnnCollectionRows", "Cells"]


class AnnCollectionRows(BackedRows):
    """AnnCollection: reading gives what indexing gives, a view, here of a collection in memory of just those cells.

    X comes from the engine if all of it is in h5ad files that are open for reading, and of one type.
    """

    def __init__(self, source: AnnCollection) -> None:
        super().__init__(source, _on_disk(source), reopens=source.has_backed)

    def __len__(self) -> int:
        return len(self.source)

    def finish(self, rows: NDArray[np.int64], begun: Any) -> "Cells":
        """Return the cells, which have ``X``, ``obs``, ``to_adata()`` and all else that a view has."""
        if not rows.size:  # an AnnCollectionView of no cells has no columns
            return self._read_without_engine(rows)
        adata = self._collected(rows, ignore_X=True)
        adata.X = begun
        return _cells(adata, self.source.convert)

    def _read_without_engine(self, rows: NDArray[np.int64]) -> "Cells":
        if not rows.size:  # nor has it an X
            return self._read_without_engine(np.zeros(1, np.int64))[:0]
        return _cells(self._collected(rows), self.source.convert)

    def _collected(self, rows: NDArray[np.int64], *, ignore_X: bool = False) -> anndata.AnnData:  # noqa: N803
        wanted, places = ascending(rows)
        adata = _collected(self.source[wanted], ignore_X=ignore_X)
        return adata if places is None else take(adata, places)

    def fingerprint(self) -> str:
        """Return shape and files."""
        return f"AnnCollection:{self.source.shape}:{[adata.filename for adata in self.source.adatas]}"

    def _opened_again(self) -> Any:
        for adata in self._source.adatas:
            if adata.isbacked:
                adata.file.open()
        return self._source


class _Window:
    """Cells that were read together, in memory.

    Attributes
    ----------
    adata
        The cells.
    convert
        The converters of their collection.
    """

    def __init__(self, adata: anndata.AnnData, convert: Any) -> None:
        self.adata = adata
        self.convert = convert

    @cached_property
    def view(self) -> Any:
        """The cells as a view of an AnnCollection, which takes longer to make than they take to read."""
        with as_stored():
            return AnnCollection([self.adata], convert=self.convert)[:]


class Cells:
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
    def _view(self) -> Any:
        return self._window.view[self._rows]

    @property
    def _rows(self) -> RowIndex:
        numbers = self._numbers
        if isinstance(numbers, range) and numbers.step == 1:
            return slice(numbers.start, numbers.stop)
        return np.asarray(numbers)

    @cached_property
    def _stored(self) -> Any:
        """X as it is stored: a part of the window where cells follow each other."""
        return take_rows(self._window.adata.X, self._rows)

    @property
    def X(self) -> Any:  # noqa: N802 as there
        """The matrix, shape ``(n_obs, n_vars)``, converted if the collection says so."""
        return self._stored if self._window.convert is None else self._view.X

    @property
    def convert(self) -> Any:
        """The converters of the collection."""
        return self._window.convert

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> "Cells":
        if isinstance(index, slice):
            return Cells(self._window, self._numbers[index])
        if isinstance(index, np.ndarray) and index.dtype.kind in "iub" and index.ndim == 1:
            return Cells(self._window, np.asarray(self._numbers)[index])
        return _cells(_collected(self._view[index]), self.convert)

    def __repr__(self) -> str:
        return repr(self._view)

    def __reduce__(self) -> tuple[Any, ...]:
        return _cells, (self.to_adata(), self.convert)

    def to_adata(self, *, ignore_X: bool = False, ignore_layers: bool = False) -> anndata.AnnData:  # noqa: N803 as there
        """Return the cells as AnnData, as the view does, and also repeated ones and those without columns of obs."""
        adata, rows = self._window.adata, self._rows
        with as_stored():
            return anndata.AnnData(
                None if ignore_X else self._stored,
                obs=adata.obs.iloc[rows].copy(),
                var=adata.var,
                obsm={name: take_rows(array, rows) for name, array in adata.obsm.items()},
                layers=None if ignore_layers else {name: take_rows(m, rows) for name, m in adata.layers.items()},
            )


def _cells(adata: anndata.AnnData, convert: Any) -> Cells:
    return Cells(_Window(adata, convert), range(adata.n_obs))


def _collected(view: Any, *, ignore_X: bool = False) -> anndata.AnnData:  # noqa: N803 as there
    """Return cells of an AnnCollection in memory, as they are stored."""
    plain = view[:]  # a view of its own, of which the converters can be taken
    plain.convert = None
    obs, obsm, layers = ({} if part is None else part.to_dict() for part in (plain.obs, plain.obsm, plain.layers))
    with as_stored():
        return anndata.AnnData(
            None if ignore_X else plain.X,
            obs=pd.DataFrame({name: getattr(c, "array", c) for name, c in obs.items()}, plain.obs_names),
            var=pd.DataFrame(index=plain.var_names),
            obsm=obsm,
            layers=layers,
        )


def _on_disk(source: AnnCollection) -> BackedMatrix | None:
    """Return X of the collection, or None if not all of it can be read by the engine.

    Of several types anndata makes one that depends on which files a read touches, so it has to read those.
    """
    stored = BackedMatrix.of(*source.adatas)
    if stored is None or not stored.has_one_type:
        return None
    widths = [matrix.shape[1] for matrix in stored.matrices]
    tables = [_table(*which) for which in zip(source.adatas_vidx, widths, strict=True)]
    return stored.choose(tables, source.n_vars)


def _table(genes: "NDArray[np.int64] | slice | None", n_stored: int) -> NDArray[np.int32] | None:
    """Return what stored columns become, given which of them the genes of the collection are."""
    if genes is None:
        return None
    columns = np.arange(n_stored)[genes]
    table = np.full(n_stored, -1, np.int32)
    table[columns] = np.arange(columns.size)
    return table
