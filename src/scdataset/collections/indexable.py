"""Anything else that has a length and can be indexed."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections.ascending import ascending
from scdataset.collections.rows import Indexed, as_window, take_rows
from scdataset.errors import CollectionError

__all__ = ["Indexable"]


class Indexable:
    """An object of unknown type, indexed with strictly ascending int64 arrays of rows."""

    def __init__(self, source: RowData) -> None:
        self.source = cast("Indexed", source)

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> RowData:
        """Index the object, and bring the result into the order of ``rows``."""
        distinct, places = ascending(rows)
        kind = type(self.source).__qualname__
        try:
            fetched = self.source[distinct]
        except Exception as error:
            message = (
                f"Indexing the collection of type {kind} with an array of {counted(distinct.size, 'row')} failed: "
                f"{type(error).__name__}: {error}. Give a fetch_callback(collection, rows) that reads those rows."
            )
            raise CollectionError(message) from error
        if places is None:
            return fetched
        window = as_window(fetched, distinct.size)
        if window is None:
            message = (
                f"Indexing the collection of type {kind} with an array of {counted(distinct.size, 'row')} gave a "
                f"{type(fetched).__qualname__} that does not have that many rows. Give a fetch_callback(collection, "
                "rows) that reads those rows, and a batch_callback(fetched, positions) if they cannot be indexed."
            )
            raise CollectionError(message)
        return take_rows(window, places)

    def fingerprint(self) -> str:
        """Return type and length."""
        return f"{type(self.source).__qualname__}:{len(self.source)}"
