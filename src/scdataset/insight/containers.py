"""Arrays and matrices of a file by name, the same way in HDF5 and in zarr."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from scdataset.cells.formats.probe import Probe
from scdataset.engine.arrays.stored_arrays import StoredArray
from scdataset.engine.containers import hdf5
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix

if TYPE_CHECKING:
    from scdataset.engine.containers.zarr import ZarrStore

__all__ = ["Container", "container_of"]


class Container(Protocol):
    """A file or store."""

    def csr(self, name: str, shape: tuple[int, int]) -> CsrMatrix:
        """Return the row-sparse matrix of a group."""
        ...

    def dense(self, name: str) -> DenseMatrix:
        """Return the matrix of an array."""
        ...

    def arrays(self, name: str) -> list[StoredArray]:
        """Return the strips of an array."""
        ...

    def absent(self, name: str) -> list[int]:
        """Return the numbers of the chunks of an array of one axis that are not stored."""
        ...


@dataclass(frozen=True, slots=True)
class _InHdf5:
    file: hdf5.H5File

    def csr(self, name: str, shape: tuple[int, int]) -> CsrMatrix:
        return hdf5.csr_matrix(self.file, name, shape)

    def dense(self, name: str) -> DenseMatrix:
        return hdf5.dense_matrix(self.file, name)

    def arrays(self, name: str) -> list[StoredArray]:
        return hdf5.arrays_of(self.file, name)

    def absent(self, name: str) -> list[int]:
        return hdf5.absent_chunks(self.file, name)


@dataclass(frozen=True, slots=True)
class _InZarr:
    store: "ZarrStore"

    def csr(self, name: str, shape: tuple[int, int]) -> CsrMatrix:
        from scdataset.engine.containers import zarr  # noqa: PLC0415 an optional package

        return zarr.csr_matrix(self.store, name, shape)

    def dense(self, name: str) -> DenseMatrix:
        from scdataset.engine.containers import zarr  # noqa: PLC0415

        return zarr.dense_matrix(self.store, name)

    def arrays(self, name: str) -> list[StoredArray]:
        from scdataset.engine.containers import zarr  # noqa: PLC0415

        return zarr.arrays_of(self.store, name)

    def absent(self, name: str) -> list[int]:
        from scdataset.engine.containers import zarr  # noqa: PLC0415

        return zarr.absent_chunks(self.store, name)


def container_of(probe: Probe) -> Container:
    """Return the file or store of a probe."""
    return _InZarr(probe.store) if probe.hdf5 is None else _InHdf5(probe.hdf5)
