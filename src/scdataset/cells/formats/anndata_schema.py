"""AnnData in a file, in HDF5 and in zarr alike.

https://anndata.readthedocs.io/en/stable/fileformat-prose.html
"""

from abc import abstractmethod
from typing import Generic, TypeVar

import numpy as np
import pandas as pd

from scdataset._arguments import nearest
from scdataset._tables import counted
from scdataset.cells.columns import ColumnValues
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.frames import (
    column_names,
    column_values,
    frame_of,
    index_of,
    n_rows,
    usual_strings,
)
from scdataset.cells.formats.nodes import Node, as_text
from scdataset.cells.formats.read_errors import check_shape, reading
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.parts import Matrix
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError

__all__ = ["AnnDataFile"]

_CSR = ("csr_matrix", "csr")
_CSC = ("csc_matrix", "csc")
"""Encodings of sparse matrices, as anndata calls them, and as h5sparse did before."""

_MAX_BYTES = 8
"""Of a value."""


Container = TypeVar("Container")
"""The open file or store that holds an AnnData."""


class AnnDataFile(CellFile, Generic[Container]):
    """One AnnData of a file or a store, whatever the format.

    A subclass opens the file or store, and finds groups and arrays.

    Parameters
    ----------
    path
        The file or store.
    layer
        None for X, or the name of a layer. ``"raw"`` is the layer of that name if there is one, else raw/X;
        ``"raw/X"`` is raw/X in any case.
    group
        The group that is an AnnData, with a slash at its end; that of the whole file by default.
    fallback
        Read through the library of the format, which takes every layout: slower, and the reference for the fast path.
    opened
        The file or store, if it is open already.

    Attributes
    ----------
    matrix
        X, raw/X or a layer.
    """

    _kind = "an AnnData"
    _var_name: str

    _functions: tuple[str, str]
    """Names of anndata's functions that read and write such a file."""

    def __init__(
        self,
        path: str,
        layer: str | None,
        *,
        group: str = "",
        fallback: bool = False,
        opened: Container | None = None,
    ) -> None:
        self.path = path
        self._group = group
        self._open(opened)
        name = self._matrix_name(layer)
        # raw/X has its own var; before anndata 0.7, it was raw.X.
        raw = name in self._raw_names
        self._var_name = name.removesuffix("X") + "var" if raw else f"{self._group}var"
        self.n_obs = n_rows(self._child("obs"))
        shape = (self.n_obs, n_rows(self._at(self._var_name)))
        stored = self._at(name)
        where = "X" if layer is None else "raw.X" if raw else f"layers[{layer!r}]"
        self._check(stored, where)
        check_shape(self.path, name, _shape(stored), shape, self._var_name)  # before chunks, maybe billions, are listed
        self.matrix = self._matrix(stored, shape, fallback=fallback)

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""
        return frame_of(self._at(self._var_name))

    def var_names(self, key: str | None) -> pd.Index | None:
        """Return the index of var, or a column of strings; None where it takes all of var to tell."""
        return usual_strings(self._at(self._var_name), key)

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        names = index_of(self._child("obs"))
        if len(names) != self.n_obs:
            message = f"{self.path}: obs has {counted(len(names), 'name')} and {counted(self.n_obs, 'row')}."
            raise DamagedFileError(message)
        return names

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs, in the order of the file."""
        return column_names(self._child("obs"))

    def _obs_values(self, name: str) -> ColumnValues:
        return self._labelled(name, column_values(self._child("obs"), name))

    def members(self, group: str) -> list[str]:
        """Return the names in a group, or the fields of a table in its place; of raw, X if there is one."""
        if group == "raw":
            return ["X"] if any(map(self._holds, self._raw_names)) else []
        found = self._find(self._place(group))
        if found is not None and found.is_array:
            return list(found.dtype.names or ())
        return [] if found is None else found.names()

    def member(self, group: str, name: str) -> object:
        """Read a member of a group as anndata does."""
        found = self._find(self._place(group))
        if found is not None and found.is_array:
            return found.values()[name]
        return self._at(f"{self._place(group)}/{name}").element()

    def _place(self, group: str) -> str:
        """Return where a group is: raw has groups for its genes beside its var."""
        above = self._var_name.removesuffix("var") if group in ("varm", "varp") else self._group
        return f"{above}{group}"

    def _array(self, group: str, name: str) -> Matrix:
        place = self._place(group)
        table = self._find(place)
        if table is not None and table.is_array and name in self.members(group):
            read, write = self._functions
            message = (
                f"{self.path}: {group}[{name!r}] is a field of a table, as anndata wrote before version 0.7. Convert "
                f"it once: anndata.{read}(path).{write}(new_path)."
            )
            raise CollectionError(message)
        stored = (
            {} if table is None or table.is_array else {key: self._at(f"{place}/{key}") for key in self.members(group)}
        )
        if name not in stored:
            there = [key for key, node in stored.items() if _obstacle(node, "") is None]
            message = f"{self.path}: {group} has no array {name!r}; it has {there}{nearest(name, there)}"
            raise ArgumentValueError(message)
        self._check(stored[name], f"{group}[{name!r}]")
        return self._matrix(stored[name], _shape(stored[name]))

    @abstractmethod
    def _open(self, opened: Container | None) -> None:
        """Take the file or store, or open it; raise unless it has obs."""

    @abstractmethod
    def _find(self, name: str) -> Node | None:
        """Return a group or an array of the file, or None if there is none of that name."""

    @abstractmethod
    def _csr(self, name: str, shape: tuple[int, int], *, fallback: bool) -> CsrMatrix:
        """Return the row-sparse matrix of a group."""

    @abstractmethod
    def _dense(self, name: str, *, fallback: bool) -> DenseMatrix:
        """Return the matrix of an array."""

    def _at(self, name: str) -> Node:
        found = self._find(name)
        if found is None:
            message = f"{self.path} has no {name}; it is damaged."
            raise DamagedFileError(message)
        return found

    def _child(self, name: str) -> Node:
        return self._at(f"{self._group}{name}")

    @property
    def _raw_names(self) -> list[str]:
        return [f"{self._group}{name}" for name in ("raw/X", "raw.X")]

    def _matrix_name(self, layer: str | None) -> str:
        """Return where a layer is."""
        group = self._group
        if layer is None and self._holds(f"{group}X"):  # as nearly always, and no other name needs a look then
            return f"{group}X"
        layers = self._find(f"{group}layers")
        keys = layers.names() if layers is not None and not layers.is_array else []
        raw = next((name for name in self._raw_names if self._holds(name)), self._raw_names[0])
        names: dict[str | None, str] = {None: f"{group}X", "raw": raw}
        is_name = isinstance(layer, str | None)  # an array is compared entry by entry
        if "raw" in keys or (is_name and layer == "raw/X"):
            names["raw/X"] = raw
        names.update({key: f"{group}layers/{key}" for key in keys})
        there = [key for key, name in names.items() if self._holds(name)]
        if not is_name or layer not in there:
            wanted = names.get(layer) if is_name else None
            raise self._no_matrix(wanted or f"{group}layers/{layer}", layer, there)
        return names[layer]

    def _no_matrix(self, wanted: str, layer: str | None, there: list[str | None]) -> ArgumentValueError:
        if there:
            allowed = f"; layer={layer!r} has to be one of {there}{nearest(layer, there)}"
        else:
            allowed = ", and no other matrix: neither X, nor raw, nor layers. There is nothing to read."
        return ArgumentValueError(f"{self.path} has no {wanted}{allowed}")

    def _holds(self, name: str) -> bool:
        """Tell whether there is something of a name; AnnData without X may have an array of nothing in its place."""
        found = self._find(name)
        return found is not None and not (found.is_array and (found.shape is None or found.kind == "null"))

    def _check(self, stored: Node, where: str) -> None:
        """Raise unless it is a matrix that is read by rows; ``where`` is the attribute of AnnData that it is."""
        obstacle = _obstacle(stored, where)
        if obstacle is not None:
            wrong, remedy = obstacle
            message = f"{self.path}: {stored.name} {wrong}"
            if remedy:
                read, write = self._functions
                message += f" Convert it once: a = anndata.{read}(path); {remedy}; a.{write}(new_path)."
            raise CollectionError(message)

    def _matrix(self, stored: Node, shape: tuple[int, int], *, fallback: bool = False) -> Matrix:
        if stored.is_array:
            return self._dense(stored.name, fallback=fallback)
        return self._csr(stored.name, shape, fallback=fallback)

    def _labelled(self, name: str, values: ColumnValues) -> ColumnValues:
        """Return a column with its labels, which before anndata 0.7 were in uns."""
        labels = self._find(f"{self._group}uns/{name}_categories")
        if labels is None or values.dtype.kind not in "iu":
            return values
        categories = np.atleast_1d(np.asarray(labels.element()))
        with reading(self.path, labels.name):  # pandas refuses codes without a category
            return pd.Categorical.from_codes(np.asarray(values), pd.Index(categories))


def _obstacle(stored: Node, where: str) -> tuple[str, str] | None:
    """Return why something is no matrix that is read by rows, and how AnnData makes it one; None if it is one."""
    if stored.is_array:
        shape, dtype = stored.shape or (), stored.dtype
        if len(shape) != 2:
            return f"has shape {shape}; a matrix has two axes.", ""
        if dtype.kind not in "iufb" or dtype.itemsize > _MAX_BYTES:
            return f"is of type {dtype}; it has to be real numbers of at most {counted(_MAX_BYTES, 'byte')}.", ""
        return None
    kind = _sparse_kind(stored)
    if kind in _CSC:
        # raw is set as a whole.
        of_raw = "raw = a.raw.to_adata(); raw.X = raw.X.tocsr(); a.raw = raw"
        convert = of_raw if where == "raw.X" else f"a.{where} = a.{where}.tocsr()"
        return "is sparse by columns (CSC), of which no row can be read without all columns.", convert
    if kind == "dataframe":
        return "is a data frame; it has to be a matrix.", f"a.{where} = a.{where}.to_numpy()"
    return None if kind in _CSR else (f"is of an unknown kind, {kind!r}; it has to be a dense matrix or CSR.", "")


def _sparse_kind(stored: Node) -> str | None:
    said = stored.attribute("h5sparse_format")
    return stored.kind if said is None else as_text(said)


def _shape(stored: Node) -> tuple[int, int]:
    """Return the shape of a matrix, which a sparse one has as an attribute."""
    if stored.is_array:
        rows, columns = stored.shape or (0, 0)
        return rows, columns
    said = stored.attribute("shape")
    sizes = np.asarray(stored.attribute("h5sparse_shape") if said is None else said)
    if sizes.shape != (2,) or sizes.dtype.kind not in "iu":
        message = f"{stored.path}: the shape of {stored.name} is {said!r}; it has to be two integers."
        raise DamagedFileError(message)
    return int(sizes[0]), int(sizes[1])
