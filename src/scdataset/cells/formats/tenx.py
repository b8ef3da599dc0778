"""10x .h5 files: the matrices that Cell Ranger, versions 2 and 3, and Space Ranger write.

They hold genes x cells by columns, which is cells x genes by rows. Version 3 has a group ``matrix`` with ``features``,
version 2 one group a genome with ``genes`` and ``gene_names``:
https://www.10xgenomics.com/support/software/cell-ranger/latest/analysis/outputs/cr-outputs-h5-matrices
"""

from collections.abc import Sequence

import h5py
import numpy as np
import pandas as pd

from scdataset._arguments import nearest
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.cells.formats.features import as_table, chosen_features
from scdataset.cells.formats.in_hdf5 import InHdf5
from scdataset.cells.formats.nodes import Node
from scdataset.cells.formats.read_errors import reading
from scdataset.engine.containers import hdf5
from scdataset.errors import ArgumentValueError, DamagedFileError

__all__ = ["TenxFile", "is_tenx"]

_ARRAYS = ("data", "indices", "indptr", "shape")

_FEATURES = {"gene_ids": "id", "feature_types": "feature_type", "genome": "genome"}
"""Columns of var, by their names in scanpy, and their names in version 3."""


def is_tenx(root: h5py.File) -> bool:
    """Return whether an HDF5 file holds matrices as Cell Ranger writes them."""
    return bool(_groups(root))


class TenxFile(InHdf5):
    """One 10x .h5 file.

    Parameters
    ----------
    path
        The file.
    layer
        None: there is only X.
    genome
        Which genome, if the file has several: a group of version 2, features of version 3. None for all of version 3.
    feature_types
        Types of features to keep, such as ``["Gene Expression"]``; None for all.
    fallback
        Read through h5py, which takes every layout: slower, and the reference for the fast path.
    file
        The file, if it is open already.

    Attributes
    ----------
    chosen
        Stored columns that are columns of the matrix, shape ``(n_vars,)``, or None for all.
    """

    _kind = "a 10x file"

    def __init__(
        self,
        path: str,
        layer: str | None,
        *,
        genome: str | None = None,
        feature_types: Sequence[str] | None = None,
        fallback: bool = False,
        file: hdf5.H5File | None = None,
    ) -> None:
        if layer is not None:
            message = f"{path} is a 10x file, which has no layers; layer={layer!r} has to be None."
            raise ArgumentValueError(message)
        self._file = hdf5.H5File(path) if file is None else file
        self.path = path
        self._group = self._chosen_group(genome)
        shape = self._child("shape").values()
        if shape.shape != (2,) or shape.dtype.kind not in "iu":
            message = f"{path}: {self._group}/shape is {shape}; it has to be the number of genes and of cells."
            raise DamagedFileError(message)
        self._n_stored, self.n_obs = int(shape[0]), int(shape[1])
        stored = hdf5.csr_matrix(self._file, self._group, (self.n_obs, self._n_stored), fallback=fallback)
        of_features = genome if self._has_features else None
        unfiltered = of_features is feature_types is None
        self.chosen = None if unfiltered else chosen_features(path, self._features(), of_features, feature_types)
        self.matrix = stored if self.chosen is None else stored.remap(*as_table(self.chosen, stored.shape[1]))

    @property
    def var(self) -> pd.DataFrame:
        """The genes by name, which may repeat; ``gene_ids``, ``feature_types`` and ``genome`` where they are known."""
        features = self._features()
        return features if self.chosen is None else features.iloc[self.chosen]

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs: ``barcode`` at most."""
        return [] if self._matrix_group.find("barcodes") is None else ["barcode"]

    def _obs_values(self, name: str) -> Array:  # noqa: ARG002 there is one
        return _strings(self._child("barcodes"))

    @property
    def obs_names(self) -> pd.Index:
        """Barcodes of the cells."""
        barcodes = self.column("barcode")
        names: pd.Index = pd.Index(barcodes.to_pandas(), dtype=object)
        return names

    @property
    def _has_features(self) -> bool:
        """Whether the file is of version 3, which has genomes as a column."""
        return self._matrix_group.find("features") is not None

    def _chosen_group(self, genome: str | None) -> str:
        with reading(self.path, "its groups"):
            groups = self._file.ask(_groups)
        if genome in groups:
            return str(genome)
        if len(groups) != 1:
            near = nearest(genome, groups)
            message = (
                f"{self.path} holds {len(groups)} genomes, {groups}; genome={genome!r} has to be one of them{near}"
            )
            raise ArgumentValueError(message)
        if genome is not None and self._root.child(groups[0]).find("features") is None:
            message = f"{self.path} holds the genome {groups[0]!r} alone; genome={genome!r} has to be that or None."
            raise ArgumentValueError(message)
        return groups[0]

    def _features(self) -> pd.DataFrame:
        """Return all that are stored."""
        if self._has_features:
            features = self._child("features")
            stored = {name: features.child(key) for name, key in _FEATURES.items() if features.find(key) is not None}
            named = features.child("name")
        else:
            stored, named = {"gene_ids": self._child("genes")}, self._child("gene_names")
        columns, names = {name: _strings(one) for name, one in stored.items()}, _strings(named)
        wrong = {name: len(column) for name, column in columns.items() if len(column) != self._n_stored}
        if wrong or len(names) != self._n_stored:
            message = f"{self.path}: {counted(len(names), 'name')} and {wrong} for {counted(self._n_stored, 'gene')}."
            raise DamagedFileError(message)
        return pd.DataFrame(columns, index=pd.Index(names, dtype=object))

    def _child(self, name: str) -> Node:
        return self._matrix_group.child(name)

    @property
    def _matrix_group(self) -> Node:
        return self._root.child(self._group)


def _groups(file: h5py.File) -> list[str]:
    """Return the groups that hold a matrix; CSC groups of an h5ad file have their shape in an attribute."""
    return [
        name
        for name, item in file.items()
        if isinstance(item, h5py.Group) and all(isinstance(item.get(part), h5py.Dataset) for part in _ARRAYS)
    ]


def _strings(stored: Node) -> Array:
    values = np.atleast_1d(stored.values()).tolist()
    with reading(stored.path, stored.name):
        return np.array([value.decode() if isinstance(value, bytes) else value for value in values], dtype=object)
