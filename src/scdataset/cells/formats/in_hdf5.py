"""One file of cells in HDF5: the parts that h5ad, 10x and loom share."""

from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.nodes import Node
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.containers.hdf5 import H5File

__all__ = ["InHdf5"]


class InHdf5(CellFile):
    """A file of cells in HDF5; a subclass sets ``_file``, the open file."""

    _file: H5File

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        super().close()
        self._file.close()

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return self._file.bytes.size if is_url(self.path) else super().n_bytes

    @property
    def _root(self) -> Node:
        return Node(self.path, "", self._file.h5)
