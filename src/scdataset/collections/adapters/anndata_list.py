"""Lists of AnnData with the same genes: their cells, one after the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import NDArray

from scdataset._properties import cached_property
from scdataset._types import RowData
from scdataset.collections.adapters.annotated import as_stored, matrix_of, without_matrix
from scdataset.collections.adapters.backed_anndata import BackedCells, BackedMatrix
from scdataset.collections.ascending import ascending
from scdataset.errors import CollectionError

if TYPE_CHECKING:
    from scdataset.engine.matrices.parts import MatrixRows

__all__ = ["AnnDataListRows"]


class AnnDataListRows(BackedCells):
    """A list of AnnData: reading gives an AnnData in memory, as of their `anndata.concat`, without raw.

    Columns of obs, obsm and layers that all of them have come along, categories united, as do the entries of var and
    uns that are the same in all; these are a copy, made at the first read. Values of X are of the type that holds those
    of all.

    Raises
    ------
    CollectionError
        If genes differ, or some X are sparse and others dense or missing.
    """

    def __init__(self, source: Sequence[anndata.AnnData]) -> None:
        _check_genes(source)
        _check_matrices(source)
        super().__init__(source, BackedMatrix.from_anndata(*source), reopens=any(adata.isbacked for adata in source))

    def __len__(self) -> int:
        return sum(int(adata.n_obs) for adata in self.source)

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells, shape ``(n_obs,)``."""
        names: pd.Index = self.source[0].obs_names
        return names.append([adata.obs_names for adata in self.source[1:]])

    def _read_without_engine(self, rows: NDArray[np.int64]) -> anndata.AnnData:
        distinct, places = ascending(rows)
        matrix = self._matrix(distinct)
        return self.finish(rows, matrix if matrix is None or places is None else matrix[places])

    def _matrix(self, rows: NDArray[np.int64]) -> "MatrixRows | None":
        """Return X of ascending rows."""
        matrices = [matrix_of(adata) for adata in self.source]
        if matrices[0] is None:
            return None
        firsts = np.cumsum([0, *(adata.n_obs for adata in self.source)])
        bounds = np.searchsorted(rows, firsts)
        touched = np.flatnonzero(np.diff(bounds)).tolist() or [0]  # of no rows, no rows of the first
        with as_stored(self.sparse_arrays):
            parts = [matrices[i][rows[bounds[i] : bounds[i + 1]] - firsts[i]] for i in touched]
        sparse = scipy.sparse.issparse(parts[0])
        joined = scipy.sparse.vstack(parts, format="csr") if sparse else np.concatenate(parts)
        return joined.astype(np.result_type(*(matrix.dtype for matrix in matrices)), copy=False)

    @cached_property
    def _without_matrix(self) -> anndata.AnnData:
        """All but X, which is in memory."""
        with as_stored():
            return anndata.concat([without_matrix(adata) for adata in self.source], merge="same", uns_merge="same")

    def fingerprint(self) -> str:
        """Return shapes and files."""
        parts = zip(self.source, self._paths, strict=True)
        return f"AnnData list:{[(adata.shape, str(path)) for adata, path in parts]}"

    def _adatas(self, source: Sequence[anndata.AnnData]) -> Sequence[anndata.AnnData]:
        adatas: Sequence[anndata.AnnData] = source
        return adatas


def _check_genes(source: Sequence[anndata.AnnData]) -> None:
    genes = source[0].var_names
    different = [number for number, adata in enumerate(source) if not adata.var_names.equals(genes)]
    if different:
        other = source[different[0]].var_names
        message = (
            f"The collection is a {type(source).__name__} of {len(source)} AnnData, and {len(different)} of them have "
            f"other genes than the first, or in another order: number {different[0]} has {len(other)} against "
            f"{len(genes)}, {len(genes.intersection(other))} in both. For the genes that all have, give "
            'AnnCollection(adatas, join_vars="inner"), or open_collection(paths, join="inner").'
        )
        raise CollectionError(message)


def _check_matrices(source: Sequence[anndata.AnnData]) -> None:
    kinds = [_kind(matrix_of(adata)) for adata in source]
    other = next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None)
    if other is not None:
        message = (
            f"The collection is a {type(source).__name__} of {len(source)} AnnData, and X is {kinds[0]} in number 0 "
            f"and {kinds[other]} in number {other}. Give AnnData that store it alike."
        )
        raise CollectionError(message)


def _kind(matrix: RowData) -> str:
    if matrix is None:
        return "missing"
    return "sparse" if hasattr(matrix, "format") else "dense"
