"""The requests that a read would send to object stores; none is sent."""

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.bytes.source import ByteSource

__all__ = ["FetchPlan"]


class FetchPlan:
    """Requests for one read after the other: a block that an earlier one has fetched is there for the later ones."""

    def __init__(self) -> None:
        self._planned: dict[tuple[str, tuple[int | str, ...]], NDArray[np.bool_]] = {}

    def add(self, source: ByteSource, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[int]:
        """Return the bytes of each request for ranges that are asked for together."""
        if not isinstance(source, RemoteFile):
            return []
        key = source.address, source.identity
        if key not in self._planned:
            self._planned[key] = np.zeros(source.n_blocks, bool)
        return source.planned(offsets, sizes, self._planned[key])
