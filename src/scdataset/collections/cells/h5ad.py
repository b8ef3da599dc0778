"""h5ad files, of any version of anndata."""

from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd

from scdataset.collections.cells.columns import Column
from scdataset.engine.matrix import Matrix
from scdataset.engine.storage import hdf5
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError

__all__ = ["H5adFile"]


class H5adFile:
    """One h5ad file.

    Parameters
    ----------
    path
        The file.
    layer
        None for X, ``"raw"`` for raw/X, or the name of a layer.
    general
        Read through h5py, whatever the layout: slower, and the measure of the fast path.
    """

    def __init__(self, path: str, layer: str | None, *, general: bool = False) -> None:
        self._file = hdf5.H5File(path)
        self.path = path
        self._var_name = "raw/var" if layer == "raw" else "var"
        name = {None: "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        self._h5_of(name, layer)
        self.n_obs = _n_rows(self._file.h5["obs"])
        self.matrix = self._matrix(name, general=general)
        if self.matrix.shape[0] != self.n_obs:
            message = f"{path}: {name} has {self.matrix.shape[0]} rows and obs has {self.n_obs}."
            raise DamagedFileError(message)

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""
        frame: pd.DataFrame = anndata.io.read_elem(self._file.h5[self._var_name])
        return frame

    def column(self, name: str) -> Column:
        """Read a column of obs."""
        obs = self._file.h5["obs"]
        names = _column_names(obs)
        if name not in names:
            message = f"{self.path}: obs has no column {name!r}; it has {names}."
            raise ArgumentValueError(message)
        if isinstance(obs, h5py.Dataset) or "categories" in obs[name].attrs:  # before anndata 0.8
            return Column.of(anndata.io.read_elem(obs)[name].array)
        return Column.of(anndata.io.read_elem(obs[name]))

    def array(self, name: str) -> hdf5.DenseMatrix:
        """Return an array of obsm."""
        names = list(self._file.h5.get("obsm", ()))
        if name not in names or not isinstance(self._file.h5["obsm"][name], h5py.Dataset):
            message = f"{self.path}: obsm has no dense array {name!r}; it has {names}."
            raise ArgumentValueError(message)
        return hdf5.dense_matrix(self._file, f"obsm/{name}")

    def close(self) -> None:
        """Close what is open; the next read opens it again."""
        self.matrix.close()
        self._file.close()

    def _h5_of(self, name: str, layer: str | None) -> None:
        if name in self._file.h5:
            return
        layers = [None, *(["raw"] if "raw/X" in self._file.h5 else []), *self._file.h5.get("layers", ())]
        message = f"{self.path} has no {name}; layer={layer!r} has to be one of {layers}."
        raise ArgumentValueError(message)

    def _matrix(self, name: str, *, general: bool) -> Matrix:
        stored = self._file.h5[name]
        if isinstance(stored, h5py.Dataset):
            if stored.ndim != 2 or stored.dtype.kind not in "iufb":
                message = (
                    f"{self.path}: {name} has shape {stored.shape} and dtype {stored.dtype}; it has to be a matrix."
                )
                raise CollectionError(message)
            return hdf5.dense_matrix(self._file, name, general=general)
        kind = stored.attrs.get("encoding-type", stored.attrs.get("h5sparse_format"))
        if kind in ("csc_matrix", "csc"):
            message = (
                f"{self.path}: {name} is sparse by columns (CSC), of which no row can be read without all columns. "
                "Convert it once: a = anndata.read_h5ad(path); a.X = a.X.tocsr(); a.write_h5ad(new_path)."
            )
            raise CollectionError(message)
        shape = stored.attrs.get("shape", stored.attrs.get("h5sparse_shape"))
        if kind not in ("csr_matrix", "csr") or shape is None:
            message = f"{self.path}: {name} is of an unknown kind, {kind!r}."
            raise CollectionError(message)
        return hdf5.csr_matrix(self._file, name, (int(shape[0]), int(shape[1])), general=general)


def _n_rows(obs: Any) -> int:
    if isinstance(obs, h5py.Dataset):
        return int(obs.shape[0])
    index = obs[obs.attrs.get("_index", "index")]
    return int((index["values"] if isinstance(index, h5py.Group) else index).shape[0])


def _column_names(obs: Any) -> list[str]:
    if isinstance(obs, h5py.Dataset):
        return [str(name) for name in obs.dtype.names]
    return [str(name) for name in np.asarray(obs.attrs["column-order"])]
