"""loom files: HDF5 of genes x cells, dense, in tiles; attributes of genes and cells beside.

https://linnarssonlab.org/loompy/format
"""

from collections.abc import Callable

import h5py
import numpy as np
import pandas as pd

from scdataset._arguments import nearest
from scdataset._tables import counted
from scdataset.cells.columns import ColumnValues
from scdataset.cells.formats.frames import column_of, values_of
from scdataset.cells.formats.in_hdf5 import InHdf5
from scdataset.cells.formats.nodes import Node
from scdataset.engine.containers import hdf5
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.errors import ArgumentValueError, DamagedFileError

__all__ = ["LoomFile", "is_loom"]

_NAMES = ("Gene", "Accession")
"""Attributes that name genes; the first that a file has."""


def is_loom(root: h5py.File) -> bool:
    """Return whether an HDF5 file has the groups of a loom file."""
    groups = (root.get("row_attrs"), root.get("col_attrs"))
    return isinstance(root.get("matrix"), h5py.Dataset) and all(isinstance(group, h5py.Group) for group in groups)


class LoomFile(InHdf5):
    """One loom file.

    Parameters
    ----------
    path
        The file.
    layer
        None for the main matrix, or the name of a layer.
    fallback
        Read through h5py, which takes every layout: slower, and the reference for the fast path.
    file
        The file, if it is open already.
    """

    _kind = "a loom file"

    def __init__(
        self, path: str, layer: str | None, *, fallback: bool = False, file: hdf5.H5File | None = None
    ) -> None:
        self._file = hdf5.H5File(path) if file is None else file
        self.path = path
        layers = self._root.find("layers")
        names: dict[str | None, str] = {None: "matrix"}
        names.update({name: f"layers/{name}" for name in (layers.names() if layers and not layers.is_array else ())})
        if layer not in names:
            message = f"{path} has no layer {layer!r}; it has to be one of {list(names)}{nearest(layer, names)}"
            raise ArgumentValueError(message)
        shape = self._file.dataset("matrix").shape
        if len(shape) != 2 or self._file.dataset(names[layer]).shape != shape:
            message = f"{path}: {names[layer]} and matrix have other shapes than genes x cells, {shape}."
            raise DamagedFileError(message)
        self.n_obs = int(shape[1])
        self.matrix = hdf5.transposed_matrix(self._file, names[layer], fallback=fallback)

    @property
    def var(self) -> pd.DataFrame:
        """The genes, by the first of ``Gene`` and ``Accession`` that the file has, else by number."""
        columns = {name: self._values("row_attrs", name) for name in self._attributes("row_attrs", 1)}
        named = next((columns.pop(name) for name in _NAMES if name in columns), None)
        n_genes = self.matrix.shape[1]
        index = pd.Index(np.arange(n_genes).astype(str) if named is None else named, dtype=object)
        return pd.DataFrame(columns, index=index)

    @property
    def obs_keys(self) -> list[str]:
        """Attributes of cells that have one value each."""
        return self._attributes("col_attrs", 1)

    def _obs_values(self, name: str) -> ColumnValues:
        return self._values("col_attrs", name, column_of)

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells: those in ``CellID``."""
        names: pd.Index = pd.Index(self.column("CellID").to_pandas(), dtype=object)
        return names

    def members(self, group: str) -> list[str]:
        """Return the attributes of cells that have several values each, which are obsm."""
        return self._attributes("col_attrs", 2) if group == "obsm" else []

    def _array(self, group: str, name: str) -> DenseMatrix:
        names = self.members(group)
        if name not in names:
            message = f"{self.path}: {group} has no array {name!r}; it has {names}{nearest(name, names)}"
            raise ArgumentValueError(message)
        return hdf5.dense_matrix(self._file, f"col_attrs/{name}")

    def _attributes(self, group: str, n_axes: int) -> list[str]:
        node = self._root.child(group)
        stored = {name: node.child(name) for name in node.names()}
        return [name for name, one in stored.items() if one.is_array and len(one.shape or ()) == n_axes]

    def _values(self, group: str, name: str, read: Callable[[Node], ColumnValues] = values_of) -> ColumnValues:
        values = read(self._root.child(group).child(name))
        wanted = self.n_obs if group == "col_attrs" else self.matrix.shape[1]
        if len(values) != wanted:
            message = f"{self.path}: {group}/{name} has {counted(len(values), 'value')}; it has to have {wanted}."
            raise DamagedFileError(message)
        return values
