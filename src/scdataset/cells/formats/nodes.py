"""Groups and arrays of HDF5 files and zarr stores, as h5py and zarr give them.

Every call of these libraries is made here, one at a time, and its errors become errors that name the file. The results
are used elsewhere, outside any guard, so that a mistake of this package is never called damage.
"""

import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import h5py
import numpy as np

from scdataset._packages import needing
from scdataset._types import Array, DType
from scdataset.cells.formats.read_errors import reading
from scdataset.engine.containers.hdf5_expansion import check_expansion
from scdataset.engine.containers.hdf5_links import child_of, found_in, whole_of
from scdataset.engine.containers.string_lengths import check_lengths
from scdataset.engine.matrices.row_pointers import pieces_of
from scdataset.errors import DamagedFileError

if TYPE_CHECKING:
    import zarr

__all__ = ["Node", "as_text"]

_DEPTH = 3
"""Depth of groups that anndata reads at once: a frame, its columns, and the categories of one."""


Stored: TypeAlias = "h5py.Group | h5py.Dataset | zarr.Group | zarr.Array"
"""A group or an array of these libraries."""


class Node:
    """A group or an array.

    Parameters
    ----------
    path
        The file, for messages.
    name
        Its name in the file.
    stored
        The object of h5py or zarr.
    """

    def __init__(self, path: str, name: str, stored: "Stored") -> None:
        self.path = path
        self.name = name
        self.stored = stored

    @property
    def is_array(self) -> bool:
        """Whether it is an array, and no group."""
        return hasattr(self.stored, "dtype")

    @property
    def dtype(self) -> DType:
        """Type of an array."""
        with reading(self.path, self.name):
            dtype: DType = np.dtype(self.stored.dtype)
            return dtype

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of an array; None where it is HDF5's array of nothing."""
        with reading(self.path, self.name):
            shape: tuple[int, ...] | None = self.stored.shape
            return shape

    @property
    def kind(self) -> str | None:
        """The encoding that anndata wrote as its attribute; None without one, as before anndata 0.8."""
        said = self.attribute("encoding-type")
        return None if said is None else as_text(said)

    def attribute(self, key: str) -> object:
        """Return an attribute, or None if there is none of that name."""
        with reading(self.path, f"{key} of {self.name}"):
            if key not in self.stored.attrs:  # get returns None for unreadable ones too
                return None
            value: object = self.stored.attrs[key]
            return value

    def texts(self, key: str) -> list[str]:
        """Return an attribute that is a list of strings.

        Raises
        ------
        DamagedFileError
            If it is not there, or something else.
        """
        said = self.attribute(key)
        texts = np.atleast_1d(np.asarray(said, object)).tolist()
        if said is None or not all(isinstance(text, (str, bytes)) for text in texts):
            message = f"{self.path}: {key} of {self.name} is {said!r}; it has to be a list of strings."
            raise DamagedFileError(message)
        return [as_text(text) for text in texts]

    def names(self) -> list[str]:
        """Return the names of the members of a group, in order."""
        with reading(self.path, f"the content of {self.name}"):
            names: list[str] = sorted(self.stored)
            return names

    def find(self, name: str) -> "Node | None":
        """Return the member of a group with a name, or None if there is none."""
        whole = f"{self.name}/{name}" if self.name else name
        if self.is_array:
            return None
        with reading(self.path, whole):
            find = child_of if isinstance(self.stored, h5py.Group) else found_in
            stored = find(self.stored, name)
            return None if stored is None else Node(self.path, whole, stored)

    def child(self, name: str) -> "Node":
        """Return the member of a group with a name.

        Raises
        ------
        DamagedFileError
            If there is nothing.
        """
        found = self.find(name)
        if found is None:
            whole = f"{self.name}/{name}" if self.name else name
            message = f"{self.path} has no {whole}; it is damaged."
            raise DamagedFileError(message)
        return found

    def values(self) -> Array:
        """Read an array as it is stored."""
        with reading(self.path, self.name):
            check_expansion(self.stored)
            check_lengths(self.stored)
            return np.asarray(self.stored[()])

    def element(self) -> object:
        """Read it as anndata does."""
        with needing(f"{self.path}: {self.name}", "anndata"):
            import anndata  # noqa: PLC0415 takes a second to import
        with reading(self.path, self.name), warnings.catch_warnings():
            warnings.simplefilter("ignore", anndata.OldFormatWarning)  # of files that are read right
            check_expansion(self._alone, _DEPTH)
            check_lengths(self._alone, _DEPTH)
            return anndata.io.read_elem(self._alone)

    @property
    def _alone(self) -> Stored:
        """The stored object, opened by path where other files have a part in its content."""
        if not isinstance(self.stored, h5py.Group):
            return self.stored
        return whole_of(self.stored, _DEPTH)

    @property
    def is_strings(self) -> bool:
        """Whether it is an array of strings of any length, shape ``(n,)``, which `pieces` reads as `element` does."""
        if not self.is_array or len(self.shape or ()) != 1:
            return False
        if isinstance(self.stored, h5py.Dataset):
            kind = h5py.check_string_dtype(self.dtype)
            return kind is not None and kind.length is None and self.kind in ("string-array", None)
        return self.kind == "string-array" and self.dtype.kind in "OT"

    def pieces(self, *others: "Node") -> Iterator[list[Array]]:
        """Read arrays of one length together, piece by piece: as many whole chunks of this one as make some MB."""
        (length,) = self.shape or (0,)
        with reading(self.path, self.name):
            for node in (self, *others):
                check_expansion(node.stored)
            (chunk,) = getattr(self.stored, "shards", None) or self.stored.chunks or (1,)
        return ([node.part(piece) for node in (self, *others)] for piece in pieces_of(length, chunk))

    def part(self, rows: slice) -> Array:
        """Read some rows of an array as they are stored."""
        with reading(self.path, self.name):
            check_lengths(self.stored, rows=rows)
            return np.asarray(self.stored[rows])

    def strings(self) -> Array | None:
        """Read an array of strings of HDF5, shape ``(n,)``, several times as fast as anndata; None for any other."""
        if not isinstance(self.stored, h5py.Dataset) or self.kind != "string-array" or len(self.shape or ()) != 1:
            return None
        values = self.values()
        if values.dtype != object:
            return None
        return self.decoded(values)

    def decoded(self, values: Iterable[object]) -> Array:
        """Return strings that are stored here, which HDF5 has as bytes, as an array of them."""
        with reading(self.path, self.name):
            texts = [value.decode() if isinstance(value, bytes) else value for value in values]
        strings = np.empty(len(texts), object)
        strings[:] = texts
        return strings


def as_text(value: object) -> str:
    """Return the text of an attribute, which old files have as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
