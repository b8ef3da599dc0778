"""AnnData in zarr stores, folders or zip files, of any version of anndata and of zarr."""

from typing import Any

import anndata
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset.collections.cells.columns import Column
from scdataset.engine.matrix import DenseMatrix, Matrix
from scdataset.engine.storage import zarr
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError

__all__ = ["ZarrFile"]


class ZarrFile:
    """One zarr store that holds an AnnData.

    Parameters
    ----------
    path
        The folder or zip file.
    layer
        None for X, ``"raw"`` for raw/X, or the name of a layer.
    general
        Read through zarr, whatever the layout: slower, and the measure of the fast path.
    """

    def __init__(self, path: str, layer: str | None, *, general: bool = False) -> None:
        self.path = path
        try:
            self._store = zarr.ZarrStore(path)
            obs = self._store.node("obs")
        except Exception as error:
            message = f"{path} cannot be opened as a zarr store: {type(error).__name__}: {error}"
            raise CollectionError(message) from error
        if obs is None:
            message = f"{path} is a zarr store without obs, so it holds no AnnData; it has {self._names('')}."
            raise CollectionError(message)
        self._var_name = "raw/var" if layer == "raw" else "var"
        name = {None: "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        self.n_obs = _n_rows(obs)
        self.matrix = self._matrix(name, layer, general=general)
        if self.matrix.shape[0] != self.n_obs:
            message = f"{path}: {name} has {self.matrix.shape[0]} rows and obs has {self.n_obs}."
            raise DamagedFileError(message)

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""
        return _frame(self._store.node(self._var_name))

    def column(self, name: str) -> Column:
        """Read a column of obs."""
        obs = self._store.node("obs")
        names = _column_names(obs)
        if name not in names:
            message = f"{self.path}: obs has no column {name!r}; it has {names}."
            raise ArgumentValueError(message)
        if hasattr(obs, "dtype") or "categories" in obs[name].attrs:  # before anndata 0.8
            return Column.of(_frame(obs)[name].array)
        return Column.of(anndata.io.read_elem(obs[name]))

    def array(self, name: str) -> DenseMatrix:
        """Return an array of obsm."""
        names = self._names("obsm")
        node = self._store.node(f"obsm/{name}") if name in names else None
        if getattr(node, "ndim", 0) != 2:
            message = f"{self.path}: obsm has no dense array {name!r}; it has {names}."
            raise ArgumentValueError(message)
        return zarr.dense_matrix(self._store, f"obsm/{name}")

    def close(self) -> None:
        """Close what is open; the next read opens it again."""
        self.matrix.close()
        self._store.close()

    def _names(self, group: str) -> list[str]:
        node = self._store.node(group)
        return sorted(node) if hasattr(node, "keys") else []

    def _matrix(self, name: str, layer: str | None, *, general: bool) -> Matrix:
        stored = self._store.node(name)
        if stored is None or stored.attrs.get("encoding-type") == "null":
            layers = [None, *(["raw"] if "X" in self._names("raw") else []), *self._names("layers")]
            message = f"{self.path} has no {name}; layer={layer!r} has to be one of {layers}."
            raise ArgumentValueError(message)
        if hasattr(stored, "dtype"):
            if stored.ndim != 2 or stored.dtype.kind not in "iufb":
                message = (
                    f"{self.path}: {name} has shape {stored.shape} and dtype {stored.dtype}; it has to be a matrix."
                )
                raise CollectionError(message)
            return zarr.dense_matrix(self._store, name, general=general)
        kind, shape = stored.attrs.get("encoding-type"), stored.attrs.get("shape")
        if kind == "csc_matrix":
            message = (
                f"{self.path}: {name} is sparse by columns (CSC), of which no row can be read without all columns. "
                "Convert it once: a = anndata.read_zarr(path); a.X = a.X.tocsr(); a.write_zarr(new_path)."
            )
            raise CollectionError(message)
        if kind != "csr_matrix" or shape is None:
            message = f"{self.path}: {name} is of an unknown kind, {kind!r}."
            raise CollectionError(message)
        return zarr.csr_matrix(self._store, name, (int(shape[0]), int(shape[1])), general=general)


def _frame(node: Any) -> pd.DataFrame:
    """Read obs or var: a group, or before anndata 0.7 an array of records whose first field is the index."""
    if not hasattr(node, "dtype"):
        frame: pd.DataFrame = anndata.io.read_elem(node)
        return frame
    records = node[:]
    fields = {name: _text(records[name]) for name in records.dtype.names}
    index = fields.pop(records.dtype.names[0])
    return pd.DataFrame(fields, index=pd.Index(index, dtype=object))


def _text(values: NDArray[Any]) -> NDArray[Any]:
    return np.char.decode(values) if values.dtype.kind == "S" else values


def _n_rows(obs: Any) -> int:
    if hasattr(obs, "dtype"):
        return int(obs.shape[0])
    index = obs[obs.attrs.get("_index", "index")]
    return int((index["values"] if hasattr(index, "keys") else index).shape[0])


def _column_names(obs: Any) -> list[str]:
    return [str(name) for name in (obs.dtype.names if hasattr(obs, "dtype") else obs.attrs["column-order"])]
