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


class H5adFile(InHdf5, AnnDataFile[hdf5.H5File]):
    """One h5ad file; see `AnnDataFile` for the parameters."""

    _functions = ("read_h5ad", "write_h5ad")

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

    def _open(self, opened: hdf5.H5File | None) -> None:
        self._file = hdf5.H5File(self.path) if opened is None else opened
        if self._find(f"{self._group}obs") is None:
            message = f"{self.path} has no {self._group}obs, but {self._root.names()}; it is not an h5ad file."
            raise CollectionError(message)

    def _find(self, name: str) -> Node | None:
        return self._root.find(name)

    def _csr(self, name: str, shape: tuple[int, int], *, fallback: bool) -> CsrMatrix:
        return hdf5.csr_matrix(self._file, name, shape, fallback=fallback)

    def _dense(self, name: str, *, fallback: bool) -> DenseMatrix:
        return hdf5.dense_matrix(self._file, name, fallback=fallback)
