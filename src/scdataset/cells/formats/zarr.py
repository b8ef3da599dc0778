"""AnnData in zarr stores, folders or zip files, of any version of anndata and of zarr."""

from scdataset.cells.formats.anndata_schema import AnnDataFile
from scdataset.cells.formats.nodes import Node
from scdataset.cells.formats.read_errors import reading
from scdataset.cells.formats.writing import ZarrWriter
from scdataset.engine.containers import zarr
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["ZarrFile"]


class ZarrFile(AnnDataFile[zarr.ZarrStore]):
    """One zarr store that holds an AnnData, a folder or a zip file; see `AnnDataFile` for the parameters."""

    _functions = ("read_zarr", "write_zarr")

    def _open(self, opened: zarr.ZarrStore | None) -> None:
        path, group = self.path, self._group
        try:
            self._store = zarr.ZarrStore(path) if opened is None else opened
            obs = self._store.node(f"{group}obs")
        except DamagedFileError:
            raise
        except Exception as error:
            message = f"{path} cannot be opened as a zarr store: {type(error).__name__}: {error}"
            raise CollectionError(message) from error
        if obs is None:
            there = Node(path, "", self._store.node("")).names()
            message = f"{path} is a zarr store without {group}obs, so it holds no AnnData; it has {there}."
            raise CollectionError(message)

    def obsm_writer(self) -> ZarrWriter:
        """Return a function that writes arrays of obsm."""
        return ZarrWriter(self.path, self._group, self._open_again)

    def _open_again(self) -> None:
        """Look at the store as it is now, after a change of our own; matrices stay with the store that was opened."""
        self.close()
        self._store = zarr.ZarrStore(self.path)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        super().close()
        self._store.close()

    def _find(self, name: str) -> Node | None:
        with reading(self.path, name):
            stored = self._store.node(name)
        return None if stored is None else Node(self.path, name, stored)

    def _csr(self, name: str, shape: tuple[int, int], *, fallback: bool) -> CsrMatrix:
        return zarr.csr_matrix(self._store, name, shape, fallback=fallback)

    def _dense(self, name: str, *, fallback: bool) -> DenseMatrix:
        return zarr.dense_matrix(self._store, name, fallback=fallback)
