"""h5ad files, of any version of anndata."""

from typing import Any, Self

import anndata
import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset.collections.cells.columns import Column, no_column
from scdataset.collections.cells.reading import check_shape, reading
from scdataset.collections.cells.writing import H5Writer
from scdataset.engine.matrix import DenseMatrix, Matrix
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
    group
        The group of the file that is an AnnData, with a slash at its end; that of the whole file by default.
    general
        Read through h5py, whatever the layout: slower, and the measure of the fast path.
    file
        The file, if it is open already.
    """

    def __init__(
        self,
        path: str,
        layer: str | None,
        *,
        group: str = "",
        general: bool = False,
        file: hdf5.H5File | None = None,
    ) -> None:
        self._file = hdf5.H5File(path) if file is None else file
        self.path = path
        self._group = group
        with reading(path, "its structure"):
            name = self._matrix_name(layer)
            # Before anndata 0.7, raw/X was raw.X.
            self._var_name = name.removesuffix("X") + "var" if layer == "raw" else f"{group}var"
            self.n_obs = _n_rows(self._file.h5[f"{group}obs"])
            shape = (self.n_obs, _n_rows(self._file.h5[self._var_name]))
            self.matrix = self._matrix(name, shape, general=general)

    @classmethod
    def of_parts(cls, file: hdf5.H5File, group: str, var_name: str, n_obs: int, matrix: Matrix) -> Self:
        """Return a file of which is known what else is read of it."""
        made = cls.__new__(cls)
        learned = {"_file": file, "path": file.path, "_group": group, "_var_name": var_name}
        made.__dict__.update(learned, n_obs=n_obs, matrix=matrix)
        return made

    @property
    def parts(self) -> tuple[hdf5.H5File, str, str, int, Matrix]:
        """What `of_parts` makes the file of."""
        return self._file, self._group, self._var_name, self.n_obs, self.matrix

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""
        with reading(self.path, self._var_name):
            return _frame(self._file.h5[self._var_name])

    def var_names(self, key: str | None) -> pd.Index | None:
        """Return the index of var, or a column of strings; None where it takes all of var to tell."""
        with reading(self.path, self._var_name):
            return _strings_of(self._file.h5[self._var_name], key)

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        with reading(self.path, "names of cells"):
            obs = self._file.h5[f"{self._group}obs"]
            names = _strings_of(obs, None)
            names = _frame(obs).index if names is None else names
        if len(names) != self.n_obs:
            message = f"{self.path}: obs has {len(names)} names and {self.n_obs} rows."
            raise DamagedFileError(message)
        return names

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs, in the order of the file."""
        with reading(self.path, "names of columns of obs"):
            return _column_names(self._file.h5[f"{self._group}obs"])

    def column(self, name: str) -> Column:
        """Read a column of obs."""
        with reading(self.path, f"obs[{name!r}]"):
            obs = self._file.h5[f"{self._group}obs"]
            names = _column_names(obs)
            if name not in names:
                raise no_column(self.path, name, names)
            column = Column.of(self._column_values(obs, name))
        if column.codes.shape != (self.n_obs,):
            message = f"{self.path}: obs[{name!r}] has shape {column.codes.shape} and obs has {self.n_obs} rows."
            raise DamagedFileError(message)
        return column

    def array(self, name: str) -> DenseMatrix:
        """Return an array of obsm."""
        with reading(self.path, f"obsm[{name!r}]"):
            obsm = self._file.h5.get(f"{self._group}obsm")
            dense = [key for key in obsm if isinstance(obsm[key], h5py.Dataset)] if isinstance(obsm, h5py.Group) else []
            if name not in dense:
                message = f"{self.path}: obsm has no dense array {name!r}; it has {dense}."
                raise ArgumentValueError(message)
            matrix = hdf5.dense_matrix(self._file, f"{self._group}obsm/{name}")
        if matrix.shape[0] != self.n_obs:
            message = f"{self.path}: obsm[{name!r}] has {matrix.shape[0]} rows and obs has {self.n_obs}."
            raise DamagedFileError(message)
        return matrix

    def obsm_writer(self) -> H5Writer:
        """Return what writes arrays of obsm."""
        return H5Writer(self._file, self._group)

    def close(self) -> None:
        """Close what is open; the next read opens it again."""
        self.matrix.close()
        self._file.close()

    def _matrix_name(self, layer: str | None) -> str:
        h5, group = self._file.h5, self._group
        if f"{group}obs" not in h5:
            message = f"{self.path} has no {group}obs, but {list(h5)}; it is not an h5ad file."
            raise CollectionError(message)
        names = {None: f"{group}X", "raw": f"{group}raw/X" if f"{group}raw/X" in h5 else f"{group}raw.X"}
        names.update({key: f"{group}layers/{key}" for key in h5.get(f"{group}layers", ())})
        there = [key for key, name in names.items() if name in h5 and getattr(h5[name], "shape", ()) is not None]
        if layer not in there:
            wanted = names.get(layer, f"{group}layers/{layer}")
            message = f"{self.path} has no {wanted}; layer={layer!r} has to be one of {there}."
            raise ArgumentValueError(message)
        return names[layer]

    def _matrix(self, name: str, shape: tuple[int, int], *, general: bool) -> Matrix:
        """Return the matrix; it is refused for a wrong shape before its chunks, which might be billions, are listed."""
        stored = self._file.h5[name]
        if isinstance(stored, h5py.Dataset):
            check_shape(self.path, name, stored.shape, shape, self._var_name)
            return hdf5.dense_matrix(self._file, name, general=general)
        kind = _text(stored.attrs.get("encoding-type", stored.attrs.get("h5sparse_format")))
        if kind in ("csc_matrix", "csc"):
            message = (
                f"{self.path}: {name} is sparse by columns (CSC), of which no row can be read without all columns. "
                "Convert it once: a = anndata.read_h5ad(path); a.X = a.X.tocsr(); a.write_h5ad(new_path)."
            )
            raise CollectionError(message)
        said = stored.attrs.get("shape", stored.attrs.get("h5sparse_shape"))
        if kind not in ("csr_matrix", "csr") or said is None:
            message = f"{self.path}: {name} is of an unknown kind, {kind!r}."
            raise CollectionError(message)
        check_shape(self.path, name, tuple(int(size) for size in said), shape, self._var_name)
        return hdf5.csr_matrix(self._file, name, shape, general=general)

    def _column_values(self, obs: Any, name: str) -> Any:
        h5 = self._file.h5
        if isinstance(obs, h5py.Dataset) or "categories" in obs[name].attrs:  # before anndata 0.8
            values = _frame(obs)[name].array
        else:
            values = _values(obs[name])
        if f"{self._group}uns/{name}_categories" in h5 and values.dtype.kind in "iu":  # before anndata 0.7
            labels = np.atleast_1d(anndata.io.read_elem(h5[f"{self._group}uns/{name}_categories"]))
            return pd.Categorical.from_codes(np.asarray(values), pd.Index(labels))
        return values


def _frame(stored: Any) -> pd.DataFrame:
    """Read a data frame; before anndata 0.7 it was a compound array, whose first field is the index."""
    frame = anndata.io.read_elem(stored)
    if not isinstance(frame, pd.DataFrame):
        fields = {name: frame[name] for name in frame.dtype.names}
        texts = {name: [_text(value) for value in field] for name, field in fields.items() if field.dtype.kind in "SO"}
        frame = pd.DataFrame({**fields, **texts}).set_index(frame.dtype.names[0])
    return frame.set_axis(frame.index.astype(str), axis=0)  # names that are numbers in the file, as AnnData has them


def _values(stored: Any) -> Any:
    """Read a column as anndata does, which takes it several times as long for the usual kinds."""
    kind = stored.attrs.get("encoding-type")
    if kind == "categorical" and isinstance(stored["categories"], h5py.Dataset) and stored["codes"].ndim == 1:
        labels = pd.Index(_values(stored["categories"]))
        return pd.Categorical.from_codes(stored["codes"][()], labels, ordered=bool(stored.attrs["ordered"]))
    if kind == "array" and stored.dtype.kind in "iufb":
        return stored[()]
    strings = _strings(stored)
    return anndata.io.read_elem(stored) if strings is None else strings


def _strings(stored: Any) -> NDArray[Any] | None:
    """Read an array of strings, shape ``(n,)``, if it is of the usual kind."""
    if not isinstance(stored, h5py.Dataset) or stored.attrs.get("encoding-type") != "string-array" or stored.ndim != 1:
        return None
    values = stored[()]
    if values.dtype != object:
        return None
    strings = np.empty(values.size, object)
    strings[:] = [value.decode() for value in values]
    return strings


def _strings_of(frame: Any, key: str | None) -> pd.Index | None:
    """Read the index of a frame, or one of its columns, if it is of the usual kind."""
    if not isinstance(frame, h5py.Group) or frame.attrs.get("encoding-type") != "dataframe":
        return None
    index = frame.attrs["_index"]
    if key is not None and (key == index or key not in frame):
        return None
    strings = _strings(frame[index if key is None else key])
    return None if strings is None else pd.Index(strings, name=key if key or index == "_index" else index, dtype=object)


def _n_rows(frame: Any) -> int:
    if isinstance(frame, h5py.Dataset):
        return int(frame.shape[0])
    index = frame[_text(frame.attrs.get("_index", "index"))]
    return int((index["values"] if isinstance(index, h5py.Group) else index).shape[0])


def _column_names(obs: Any) -> list[str]:
    """Return names of columns; of a compound array, whose first field is the index, as of a group."""
    if isinstance(obs, h5py.Dataset):
        return [str(name) for name in obs.dtype.names[1:]]
    return [_text(name) for name in np.asarray(obs.attrs["column-order"])]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
