"""Rows that are in memory, or that their own container reads well in any order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.collections.rows import take_rows

__all__ = ["InMemory"]


class InMemory:
    """A container that `take_rows` takes rows of in any order, into new memory."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        shape = getattr(self.source, "shape", None)
        return len(self.source) if shape is None else int(shape[0])

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Take the rows."""
        return take_rows(self.source, rows)

    def fingerprint(self) -> str:
        """Return type, shape and dtype."""
        shape = getattr(self.source, "shape", (len(self),))
        return f"{type(self.source).__qualname__}:{tuple(shape)}:{getattr(self.source, 'dtype', '')}"
