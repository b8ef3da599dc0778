"""X of a backed AnnData, read by the engine."""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.collections.cells.h5ad import H5adFile
from scdataset.engine.slabs import SlabPool
from scdataset.engine.threads import Threads
from scdataset.errors import ScDatasetError

__all__ = ["BackedMatrix"]


class BackedMatrix:
    """X of an h5ad file that an AnnData has open for reading.

    Attributes
    ----------
    matrix
        The engine's matrix.
    """

    def __init__(self, file: H5adFile) -> None:
        self.matrix = file.matrix
        self._slabs = SlabPool()
        self._threads = Threads()

    @classmethod
    def of(cls, source: Any) -> "BackedMatrix | None":
        """Return the matrix under ``source``, or None where anndata itself has to read it.

        That is a file that is open for writing, which may change under the engine; ``raw``, which is read along with X;
        and whatever `open_collection` would refuse.
        """
        with suppress(KeyError):
            stored = getattr(source.X, "group", source.X)
            if source.raw is None and stored.file.mode == "r" and stored.name == "/X":
                with suppress(ScDatasetError):
                    return cls(H5adFile(stored.file.filename, layer=None))
        return None

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Return rows, in any order and repeated or not."""
        return self.matrix.read(rows, self._slabs, self._threads)

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these rows will be read soon."""
        self.matrix.announce(np.sort(rows))

    def share_threads(self, processes: int) -> None:
        """Use one of so many shares of the cores."""
        self._threads.share_among(processes)
