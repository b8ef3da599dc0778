"""zarr arrays."""

from contextlib import suppress

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore, MemoryStore, ZipStore

from scdataset._types import Array, RowData
from scdataset.collections.ascending import ascending
from scdataset.collections.handles import OwnedHandle
from scdataset.collections.reopening import OpenedFile
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["adapt", "by_absolute_path", "cut", "metadata_file"]


class ZarrRows(OwnedHandle):
    """A zarr array: every chunk that holds a requested row is decoded once a read."""

    def __init__(self, source: zarr.Array, *, reopens: bool) -> None:
        source = by_absolute_path(source)
        super().__init__(source, reopens=reopens)
        self._metadata = metadata_file(source)
        self._zip = _zip_file(source.store)

    def __len__(self) -> int:
        return int(self.source.shape[0])

    def read(self, rows: NDArray[np.int64]) -> Array:
        """Return the rows, shape ``(n, *shape[1:])``."""
        if self._metadata is not None:
            self._metadata.check_path()
        if self._zip is not None:
            self._zip.check_if_at_path()
        distinct, places = ascending(rows)
        fetched = np.asarray(self.source.get_orthogonal_selection((distinct,)))
        return fetched if places is None else fetched[places]

    def fingerprint(self) -> str:
        """Return store, shape and dtype."""
        source = self.source
        # The address in memory that a MemoryStore has for a path is another one in another process.
        place = source.path if isinstance(source.store, MemoryStore) else source.store_path
        return f"{place}:{source.shape}:{source.dtype}"


def by_absolute_path(node: zarr.Array | zarr.Group) -> zarr.Array | zarr.Group:
    """Return an array or group in a folder with an absolute path: a relative one changes with the working directory.

    Raises
    ------
    CollectionError
        If the folder does not have it, as after such a change.
    """
    store = node.store
    if not isinstance(store, LocalStore) or store.root.is_absolute():
        return node
    try:
        root = LocalStore(store.root.absolute(), read_only=True)
        found = zarr.open(root, path=node.path, mode="r", zarr_format=node.metadata.zarr_format)
        same = type(found) is type(node) and getattr(found, "shape", ()) == getattr(node, "shape", ())
    except (FileNotFoundError, ValueError):
        same = False
    if not same:
        message = (
            f"The collection is {node!r}, which is not at {store.root.absolute()}: was its path relative, and the "
            "working directory changed? Open it by its absolute path."
        )
        raise CollectionError(message)
    return found


def metadata_file(array: zarr.Array) -> OpenedFile | None:
    """Return the file of the metadata of an array in a folder, which is written anew with the array."""
    if not isinstance(array.store, LocalStore):
        return None
    name = "zarr.json" if array.metadata.zarr_format == 3 else ".zarray"
    return OpenedFile.at_path(array.store.root / array.path / name)


def adapt(source: RowData) -> ZarrRows | None:
    """Adapt arrays with at least one axis; name the remedy for a group."""
    if isinstance(source, zarr.Array) and source.shape:
        return ZarrRows(source, reopens=_has_handle(source.store))
    if isinstance(source, (zarr.Array, zarr.Group)):
        message = (
            f"The collection is a zarr {type(source).__name__} ({source!r}), which has no rows. Give an array with at "
            "least one axis, or, for a store of cells, open_collection(path)."
        )
        raise CollectionError(message)
    return None


def _zip_file(store: zarr.abc.store.Store) -> OpenedFile | None:
    """Return the zip file that a store has open, if it still is where it was."""
    if isinstance(store, ZipStore):
        with suppress(DamagedFileError):
            return OpenedFile.from_path(store.path, fixed=True)
    return None


def _has_handle(store: zarr.abc.store.Store) -> bool:
    """Return whether a store has something open that a forked process may not share, such as a place in a zip file."""
    if isinstance(store, ZipStore) and not store.read_only:
        message = f'The zip file {store.path} is open for writing; close it and open ZipStore(path, mode="r").'
        raise CollectionError(message)
    return not isinstance(store, (LocalStore, MemoryStore))


def cut(value: zarr.Array, rows: slice) -> RowData:
    """Read rows that follow each other."""
    return value[rows]
