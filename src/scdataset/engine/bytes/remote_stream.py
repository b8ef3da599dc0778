"""Streams over objects of a store, for libraries that read by themselves.

HDF5 reads under a lock of h5py. The garbage collector may wait for that lock in any thread that closes objects of h5py,
among them those that fetch bytes, and those that hold a lock of ours. So nothing here takes such a lock or waits for
such a thread: bytes that are on their way are looked for in the file for a while, and are fetched once more then.
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from scdataset.engine.bytes.blocks import requests_for
from scdataset.engine.bytes.sparse_file import SparseFile
from scdataset.engine.bytes.stream import Stream

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import Bytes

__all__ = ["RemoteStream"]

_PATIENCE, _PAUSE = 1.0, 0.001
"""Seconds to wait for bytes that were requested, and seconds between two looks."""

_AHEAD = 4
"""Blocks that are read at least: libraries read metadata in small pieces that lie together."""


class RemoteStream(Stream):
    """A stream over an object.

    Parameters
    ----------
    file, descriptor
        The sparse file of the object, and a descriptor of it that is closed with the stream.
    coming
        The blocks that threads are fetching.
    fetch
        Returns the bytes of so many blocks from a first one on.
    block
        Bytes of a block.
    """

    def __init__(
        self,
        file: SparseFile,
        descriptor: int,
        coming: Mapping[int, object],
        fetch: Callable[[int, int], "Bytes"],
        block: int,
    ) -> None:
        super().__init__(file.size)
        self._file = file
        self._descriptor = descriptor
        self._coming = coming
        self._fetch = fetch
        self._block = block

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer, as far as the object goes."""
        view = memoryview(buffer).cast("B")
        stop = min(self._at + len(view), self._file.size)
        if stop <= self._at:
            return 0
        self._bring(self._at // self._block, -(-stop // self._block))
        stored = self._file.read(self._at, stop - self._at, self._descriptor)
        view[: len(stored)] = stored
        self._at += len(stored)
        return len(stored)

    def _bring(self, first: int, last: int) -> None:
        """Have blocks in the file, and some that follow if one has to be fetched."""
        needed = np.arange(first, last)
        until = time.monotonic() + _PATIENCE
        while (missing := self._file.missing(needed, self._descriptor)).size:
            if time.monotonic() > until or not any(block in self._coming for block in missing.tolist()):
                break
            time.sleep(_PAUSE)
        if missing.size:
            n_blocks = -(-self._file.size // self._block)
            more = np.arange(missing[0], min(max(last, int(missing[0]) + _AHEAD), n_blocks))
            for start, count in requests_for(self._file.missing(more, self._descriptor), 0, more.size):
                self._file.write(start, memoryview(self._fetch(start, count)), self._descriptor)

    def close(self) -> None:
        """Close the descriptor."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
