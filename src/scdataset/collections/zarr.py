"""zarr arrays."""

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from scdataset.collections.ascending import ascending
from scdataset.errors import CollectionError

__all__ = ["adapt"]


class ZarrRows:
    """A zarr array: every chunk that holds a wanted row is decoded once a read."""

    def __init__(self, source: zarr.Array[Any]) -> None:
        self.source = source

    def __len__(self) -> int:
        return int(self.source.shape[0])

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows, shape ``(n, *shape[1:])``."""
        wanted, places = ascending(rows)
        fetched = np.asarray(self.source.get_orthogonal_selection((wanted,)))
        return fetched if places is None else fetched[places]

    def fingerprint(self) -> str:
        """Return store, shape and dtype."""
        return f"{self.source.store_path}:{self.source.shape}:{self.source.dtype}"


def adapt(source: Any) -> ZarrRows:
    """Adapt arrays with at least one axis; say what to do with a group."""
    if isinstance(source, zarr.Array) and source.shape:
        return ZarrRows(source)
    message = (
        f"The collection is a zarr {type(source).__name__} ({source!r}), which has no rows. Give one of its arrays."
    )
    raise CollectionError(message)
