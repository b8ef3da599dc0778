"""h5ad files, of any version of anndata."""

from typing import Self

from scdataset.cells.formats.anndata_schema import AnnDataFile
from scdataset.cells.formats.in_hdf5 import InHdf5
from scdataset.cells.formats.nodes import Node
from scdataset.cells.formats.writing import H5Writer
from scdataset.engine.containers import hdf5
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.parts import Matrix
from scdataset.errors import CollectionError

__all__ = ["H5adFile"]


class H5adFile(InHdf5, AnnDataFile):
    """One h5ad file.

    Parameters
    ----------
    path
        The file.
    layer
        None for X, or the name of a layer. ``"raw"`` is the layer of that name if there is one, else raw/X;
        ``"raw/X"`` is raw/X in any case.
    group
        The group of the file that is an AnnData, with a slash at its end; that of the whole file by default.
    fallback
        Read through h5py, which takes every layout: slower, and the reference for the fast path.
    file
        The file, if it is open already.
    """

    _functions = ("read_h5ad", "write_h5ad")

    def __init__(
        self,
        path: str,
        layer: str | None,
        *,
        group: str = "",
        fallback: bool = False,
        file: hdf5.H5File | None = None,
    ) -> None:
        self._file = hdf5.H5File(path) if file is None else file
        self.path = path
        self._group = group
        if self._find(f"{group}obs") is None:
            message = f"{self.path} has no {group}obs, but {self._root.names()}; it is not an h5ad file."
            raise CollectionError(message)
        self._learn(layer, fallback=fallback)

    @classmethod
    def from_parts(cls, file: hdf5.H5File, group: str, var_name: str, n_obs: int, matrix: Matrix) -> Self:
        """Return a file from parts that were read before."""
        made = cls.__new__(cls)
        learned = {"_file": file, "path": file.path, "_group": group, "_var_name": var_name}
        made.__dict__.update(learned, n_obs=n_obs, matrix=matrix)
        return made

    @property
    def parts(self) -> tuple[hdf5.H5File, str, str, int, Matrix]:
        """The parts that `from_parts` takes."""
        return self._file, self._group, self._var_name, self.n_obs, self.matrix

    def obsm_writer(self) -> H5Writer:
        """Return a function that writes arrays of obsm."""
        return H5Writer(self._file, self._group)

    def _find(self, name: str) -> Node | None:
        return self._root.find(name)

    def _csr(self, name: str, shape: tuple[int, int], *, fallback: bool) -> CsrMatrix:
        return hdf5.csr_matrix(self._file, name, shape, fallback=fallback)

    def _dense(self, name: str, *, fallback: bool) -> DenseMatrix:
        return hdf5.dense_matrix(self._file, name, fallback=fallback)
