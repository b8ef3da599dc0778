"""Find the format of a path, opening it once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scdataset._properties import cached_property
from scdataset.cells.formats.loom import is_loom
from scdataset.cells.formats.nodes import Node
from scdataset.cells.formats.read_errors import naming, reading
from scdataset.cells.formats.tenx import is_tenx
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.containers.handles import handles_open
from scdataset.engine.containers.hdf5 import H5File
from scdataset.errors import DamagedFileError

if TYPE_CHECKING:
    import h5py

    from scdataset.engine.containers.zarr import ZarrStore

__all__ = ["Probe", "holds_modalities", "is_remote_store", "probing"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of HDF5, unless a user block precedes it."""

_LEAST_BLOCK = 512
"""Bytes of the smallest user block; others are twice as long each."""


_FIRST_BYTES = 1 << 20
"""Bytes of an object in which a user block may end: as many as come with its opening."""


class Probe:
    """A file or folder, with the questions that tell its format; it is opened once for them and for its cells.

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
        return self.source is not None

    @cached_property
    def source(self) -> ByteSource | None:
        """The bytes of a file or object; None for a folder, and for anything else, such as a pipe."""
        if is_url(self.path):
            return None if is_remote_store(self.path) else open_bytes(self.path)
        return open_bytes(self.path) if Path(self.path).is_file() else None

    @cached_property
    def start(self) -> bytes:
        """The first bytes of a file, eight or fewer; none of a folder. Anything else, such as a pipe, is refused."""
        if self.source is None and (is_url(self.path) or Path(self.path).is_dir()):
            return b""
        with naming(self.path):
            return (self.source or LocalFile(self.path)).read(0, 8)

    @cached_property
    def hdf5(self) -> H5File | None:
        """The file, if it is HDF5."""
        if self.source is None or not (self.start == _SIGNATURE or _has_signature(self.source)):
            return None
        return H5File(self.source)

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

    @cached_property
    def store(self) -> "ZarrStore":
        """The store, if it is one of zarr."""
        from scdataset.engine.containers.zarr import ZarrStore  # noqa: PLC0415 an optional package

        with reading(self.path, "the zarr store"):
            return ZarrStore(self.path)

    @property
    def root(self) -> Node:
        """The group that holds all others, of an HDF5 file or of a zarr store."""
        if self.hdf5 is not None:
            return Node(self.path, "", self.hdf5.h5)
        store = self.store
        with reading(self.path, "the zarr store"):
            return Node(self.path, "", store.node(""))

    def hand_over(self) -> None:
        """Leave the open file or store to the cells that were opened; a later question opens it anew."""
        self.__dict__ = {"path": self.path}

    def close(self) -> None:
        """Close the file or store, if it is open."""
        for one in (self.__dict__.get("hdf5"), self.__dict__.get("store")):
            if one is not None:
                one.close()
        self.hand_over()


def is_remote_store(url: str) -> bool:
    """Tell whether a URL is of a zarr store, by its name or by a listing, which names it so."""
    return url.rstrip("/").endswith(".zarr") or url.endswith("/")


def _has_signature(source: ByteSource) -> bool:
    """Tell whether HDF5 begins after a user block, of 512 bytes, 1024, and so on."""
    at, end = _LEAST_BLOCK, min(source.size, _FIRST_BYTES) if source.is_remote else source.size
    while at + len(_SIGNATURE) <= end:
        if source.read_unchecked(at, len(_SIGNATURE)) == _SIGNATURE:
            return True
        at *= 2
    return False


@contextmanager
def probing(path: str) -> Iterator[Probe]:
    """Give the probe of a path, which is closed in the end unless it was handed over."""
    probe = Probe(path)
    with handles_open():
        try:
            yield probe
        finally:
            probe.close()


def holds_modalities(root: "h5py.Group") -> bool:
    """Return whether a group is a MuData."""
    return "mod" in root and hasattr(root["mod"], "keys")


def _content(root: "h5py.File") -> str:
    if holds_modalities(root):
        return "MuData"
    if root.attrs.get("encoding-type") == "anndata":  # it says so, and other groups need not be looked into
        return "h5ad"
    if is_tenx(root):
        return "10x"
    return "loom" if is_loom(root) else "h5ad"
