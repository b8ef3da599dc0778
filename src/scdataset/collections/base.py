"""Collections: their interface, and how the user's object becomes one."""

import os
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scdataset._types import RowData
from scdataset.collections.indexable import Indexable
from scdataset.collections.map_style import MapStyle
from scdataset.collections.opening_call import opening_call
from scdataset.collections.rows import adapter_for, is_collection
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.errors import CollectionError

__all__ = ["Collection", "ReadsInBackground", "TellsReadCost", "as_collection"]


@runtime_checkable
class Collection(Protocol):
    """Where rows live: something that returns any of its rows, in any order, when asked."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows asked for, in that order: any int64 numbers in [0, len), repeated or not."""
        ...

    def fingerprint(self) -> str:
        """Return an identity of this collection: kind, shape and types, or files."""
        ...


@runtime_checkable
class TellsReadCost(Protocol):
    """A collection that knows where its rows lie."""

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the bytes and chunks that reading these rows would touch, without reading them."""
        ...


class ReadsInBackground:
    """Base of collections that touch nothing of the user's when they read, which may then run in the background."""

    reads_ahead = True

    @property
    def is_remote(self) -> bool:
        """Whether some of it is read by requests to an object store."""
        return False

    @property
    def reads_whole(self) -> bool:
        """Whether `begin` returns complete windows."""
        return type(self).finish is ReadsInBackground.finish

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Return the rows asked for, in that order."""
        raise NotImplementedError

    def begin(self, rows: NDArray[np.int64]) -> RowData:
        """Read the rows."""
        return self.read(rows)

    def finish(self, rows: NDArray[np.int64], begun: RowData) -> RowData:  # noqa: ARG002 for those of which something is left
        """Return the window, which is complete."""
        return begun


def as_collection(source: RowData) -> Collection:
    """Return a `Collection` over ``source``.

    Parameters
    ----------
    source
        A numpy array or memmap, torch tensor, list, range, scipy sparse matrix, pandas or polars frame or series,
        pyarrow table, Hugging Face ``Dataset``, torch map-style dataset, AnnData (in memory or backed),
        a list of it, its matrices on disk, ``AnnCollection``, h5py dataset, zarr array, `MultiIndexable`, or a
        `Collection`. Anything else with ``__len__`` and ``__getitem__`` is indexed with ascending arrays of rows, and
        so is a torch dataset if it gives its rows that way; else by ``__getitems__``, or sample by sample.

    Raises
    ------
    CollectionError
        If it has no length or cannot be indexed by row.

    Examples
    --------
    >>> as_collection(["a", "b", "c"]).read(np.array([2, 0, 2]))
    ['c', 'a', 'c']
    """
    if is_collection(source):
        return source
    for cls in type(source).__mro__:
        adapter = adapter_for(cls)
        if adapter is not None:
            adapted: Collection | None = adapter.adapt(source)
            if adapted is not None:
                return adapted
    if isinstance(source, os.PathLike):
        message = f"The collection is a path, which has no rows. Give {opening_call(os.fspath(source))}."
        raise CollectionError(message)
    if isinstance(source, type):
        message = f"The collection is the class {source.__qualname__}; give an object of it."
        raise CollectionError(message)
    missing = [name for name in ("__len__", "__getitem__") if not hasattr(source, name)]
    if missing or getattr(source, "shape", None) == ():
        lacks = f"no {' and no '.join(missing)}" if missing else "no axis"
        message = (
            f"The collection is of type {type(source).__qualname__}, which has {lacks}. Give something that can be "
            "indexed by row, or an object with __len__ and a fetch_callback(collection, rows) that reads its rows."
        )
        raise CollectionError(message)
    return MapStyle(source) if hasattr(type(source), "__getitems__") else Indexable(source)
