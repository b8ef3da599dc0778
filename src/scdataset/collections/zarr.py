"""zarr arrays."""

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore, MemoryStore, ZipStore

from scdataset.collections.ascending import ascending
from scdataset.collections.handles import OwnedHandle
from scdataset.errors import CollectionError

__all__ = ["adapt"]


class ZarrRows(OwnedHandle):
    """A zarr array: every chunk that holds a wanted row is decoded once a read."""

    def __len__(self) -> int:
        return int(self.source.shape[0])

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows, shape ``(n, *shape[1:])``."""
        wanted, places = ascending(rows)
        fetched = np.asarray(self.source.get_orthogonal_selection((wanted,)))
        return fetched if places is None else fetched[places]

    def fingerprint(self) -> str:
        """Return store, shape and dtype."""
        source = self.source
        # The address in memory that a MemoryStore has for a path is another one in another process.
        place = source.path if isinstance(source.store, MemoryStore) else source.store_path
        return f"{place}:{source.shape}:{source.dtype}"


def adapt(source: Any) -> ZarrRows | None:
    """Adapt arrays with at least one axis; say what to do with a group."""
    if isinstance(source, zarr.Array) and source.shape:
        return ZarrRows(source, reopens=_has_handle(source.store))
    if isinstance(source, (zarr.Array, zarr.Group)):
        message = (
            f"The collection is a zarr {type(source).__name__} ({source!r}), which has no rows. Give an array with at "
            "least one axis."
        )
        raise CollectionError(message)
    return None


def _has_handle(store: Any) -> bool:
    """Return whether a store has something open that a forked process may not share, such as a place in a zip file."""
    if isinstance(store, ZipStore) and not store.read_only:
        message = f'The zip file {store.path} is open for writing; close it and open ZipStore(path, mode="r").'
        raise CollectionError(message)
    return not isinstance(store, (LocalStore, MemoryStore))
