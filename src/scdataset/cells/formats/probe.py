"""Find the format of a path, opening it once."""

from functools import cached_property
from pathlib import Path
from typing import Any

import h5py

from scdataset.cells.formats.loom import is_loom
from scdataset.cells.formats.mudata import holds_modalities
from scdataset.cells.formats.reading import naming, reading
from scdataset.cells.formats.tenx import is_tenx
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.storage.hdf5 import H5File
from scdataset.errors import DamagedFileError

__all__ = ["Probe"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of HDF5, unless a user block precedes it."""


class Probe:
    """A file or folder, with the questions that tell its format; an HDF5 file is opened once for all of them.

    Parameters
    ----------
    path
        The file or folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    @cached_property
    def is_file(self) -> bool:
        """Whether it is a file, and no folder."""
        return Path(self.path).is_file()

    @cached_property
    def start(self) -> bytes:
        """The first bytes of a file, eight or fewer; none of a folder. Anything else, such as a pipe, is refused."""
        if Path(self.path).is_dir():
            return b""
        with naming(self.path):
            return LocalFile(self.path).read(0, 8)

    @cached_property
    def hdf5(self) -> H5File | None:
        """The file, if it is HDF5."""
        if self.start == _SIGNATURE or (self.is_file and h5py.is_hdf5(self.path)):
            return H5File(self.path)
        return None

    @cached_property
    def content(self) -> str | None:
        """The format of an HDF5 file: ``"MuData"``, ``"10x"``, ``"loom"``, or ``"h5ad"`` if it is none of these."""
        if self.hdf5 is None:
            return None
        try:
            with reading(self.path, "its structure"):
                return self.hdf5.ask(_content)
        except DamagedFileError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, if it is open."""
        if self.__dict__.get("hdf5") is not None:
            self.__dict__.pop("hdf5").close()


def _content(root: Any) -> str:
    if holds_modalities(root):
        return "MuData"
    if root.attrs.get("encoding-type") == "anndata":  # it says so, and other groups need not be looked into
        return "h5ad"
    if is_tenx(root):
        return "10x"
    return "loom" if is_loom(root) else "h5ad"
