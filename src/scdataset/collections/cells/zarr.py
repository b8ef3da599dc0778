"""AnnData in zarr stores, folders or zip files, of any version of anndata and of zarr."""

from typing import Any

import anndata
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset.collections.cells.columns import Column, no_column
from scdataset.collections.cells.reading import check_shape, reading
from scdataset.collections.cells.writing import ZarrWriter
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
    group
        The group of the store that is an AnnData, with a slash at its end; that of the whole store by default.
    general
        Read through zarr, whatever the layout: slower, and the measure of the fast path.
    """

    def __init__(self, path: str, layer: str | None, *, group: str = "", general: bool = False) -> None:
        self.path = path
        self._group = group
        try:
            self._store = zarr.ZarrStore(path)
            obs = self._store.node(f"{group}obs")
        except Exception as error:
            message = f"{path} cannot be opened as a zarr store: {type(error).__name__}: {error}"
            raise CollectionError(message) from error
        if obs is None:
            message = f"{path} is a zarr store without {group}obs, so it holds no AnnData; it has {self._names('')}."
            raise CollectionError(message)
        with reading(path, "its structure"):
            name = self._matrix_name(layer)
            self._var_name = f"{group}raw/var" if layer == "raw" else f"{group}var"
            self.n_obs = _n_rows(obs)
            shape = (self.n_obs, _n_rows(self._store.node(self._var_name)))
            self.matrix = self._matrix(name, shape, general=general)

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""
        with reading(self.path, self._var_name):
            return _frame(self._store.node(self._var_name))

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs, in the order of the file."""
        with reading(self.path, "names of columns of obs"):
            return _column_names(self._store.node(f"{self._group}obs"))

    def column(self, name: str) -> Column:
        """Read a column of obs."""
        with reading(self.path, f"obs[{name!r}]"):
            obs = self._store.node(f"{self._group}obs")
            names = _column_names(obs)
            if name not in names:
                raise no_column(self.path, name, names)
            of_frame = hasattr(obs, "dtype") or "categories" in obs[name].attrs  # before anndata 0.8
            column = Column.of(_frame(obs)[name].array if of_frame else anndata.io.read_elem(obs[name]))
        if column.codes.shape != (self.n_obs,):
            message = f"{self.path}: obs[{name!r}] has shape {column.codes.shape} and obs has {self.n_obs} rows."
            raise DamagedFileError(message)
        return column

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        with reading(self.path, "names of cells"):
            return _frame(self._store.node(f"{self._group}obs")).index

    def array(self, name: str) -> DenseMatrix:
        """Return an array of obsm."""
        with reading(self.path, f"obsm[{name!r}]"):
            names = self._names(f"{self._group}obsm")
            node = self._store.node(f"{self._group}obsm/{name}") if name in names else None
            if getattr(node, "ndim", 0) != 2:
                message = f"{self.path}: obsm has no dense array {name!r}; it has {names}."
                raise ArgumentValueError(message)
            matrix = zarr.dense_matrix(self._store, f"{self._group}obsm/{name}")
        if matrix.shape[0] != self.n_obs:
            message = f"{self.path}: obsm[{name!r}] has {matrix.shape[0]} rows and obs has {self.n_obs}."
            raise DamagedFileError(message)
        return matrix

    def obsm_writer(self) -> ZarrWriter:
        """Return what writes arrays of obsm."""
        return ZarrWriter(self.path, self._group, self.close)

    def close(self) -> None:
        """Close what is open; the next read opens it again."""
        self.matrix.close()
        self._store.close()

    def _names(self, group: str) -> list[str]:
        node = self._store.node(group)
        return sorted(node) if hasattr(node, "keys") else []

    def _matrix_name(self, layer: str | None) -> str:
        group = self._group
        names: dict[str | None, str] = {None: f"{group}X", "raw": f"{group}raw/X"}
        names.update({key: f"{group}layers/{key}" for key in self._names(f"{group}layers")})
        nodes = {key: self._store.node(name) for key, name in names.items()}
        there = [key for key, node in nodes.items() if node is not None and node.attrs.get("encoding-type") != "null"]
        if layer not in there:
            wanted = names.get(layer, f"{group}layers/{layer}")
            message = f"{self.path} has no {wanted}; layer={layer!r} has to be one of {there}."
            raise ArgumentValueError(message)
        return names[layer]

    def _matrix(self, name: str, shape: tuple[int, int], *, general: bool) -> Matrix:
        stored = self._store.node(name)
        if hasattr(stored, "dtype"):
            check_shape(self.path, name, stored.shape, shape, self._var_name)
            if stored.dtype.kind not in "iufb":
                message = f"{self.path}: {name} has values of type {stored.dtype}; it has to have real numbers."
                raise CollectionError(message)
            return zarr.dense_matrix(self._store, name, general=general)
        kind, said = stored.attrs.get("encoding-type"), stored.attrs.get("shape")
        if kind == "csc_matrix":
            message = (
                f"{self.path}: {name} is sparse by columns (CSC), of which no row can be read without all columns. "
                "Convert it once: a = anndata.read_zarr(path); a.X = a.X.tocsr(); a.write_zarr(new_path)."
            )
            raise CollectionError(message)
        if kind != "csr_matrix" or said is None:
            message = f"{self.path}: {name} is of an unknown kind, {kind!r}."
            raise CollectionError(message)
        check_shape(self.path, name, tuple(int(size) for size in said), shape, self._var_name)
        return zarr.csr_matrix(self._store, name, shape, general=general)


def _frame(node: Any) -> pd.DataFrame:
    """Read obs or var: a group, or before anndata 0.7 an array of records whose first field is the index."""
    if hasattr(node, "dtype"):
        records = node[:]
        index, *_ = names = records.dtype.names
        frame = pd.DataFrame({name: _text(records[name]) for name in names}).set_index(index)
    else:
        frame = anndata.io.read_elem(node)
    return frame.set_axis(frame.index.astype(str), axis=0)  # names that are numbers in the store, as AnnData has them


def _text(values: NDArray[Any]) -> NDArray[Any]:
    return np.char.decode(values).astype(object) if values.dtype.kind == "S" else values


def _n_rows(obs: Any) -> int:
    if hasattr(obs, "dtype"):
        return int(obs.shape[0])
    index = obs[obs.attrs.get("_index", "index")]
    return int((index["values"] if hasattr(index, "keys") else index).shape[0])


def _column_names(obs: Any) -> list[str]:
    """Return names of columns; of records, whose first field is the index, as of a group."""
    return [str(name) for name in (obs.dtype.names[1:] if hasattr(obs, "dtype") else obs.attrs["column-order"])]
