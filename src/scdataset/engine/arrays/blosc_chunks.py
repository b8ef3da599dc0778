"""Chunks that blosc alone encodes, as `scdataset.convert` writes them: a compiled loop reads and decodes them."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.arrays.spans import Spans, scratch
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.codecs.compressors import blosc_function
from scdataset.engine.kernels.blosc_chunks import scatter_blosc
from scdataset.engine.kernels.gather import READS_COMPILED, SHORT_READ
from scdataset.engine.observer import DECODE, READ, SCATTER, observer_here

__all__ = ["BloscChunks", "is_blosc"]

_NOT_TIMED = np.empty(0)


def is_blosc(filters: Iterable[tuple[str, object]]) -> bool:
    """Tell whether chunks are encoded by blosc alone, and compiled loops can decode them here."""
    return READS_COMPILED and [name for name, _ in filters] == ["blosc"] and blosc_function() is not None


@dataclass(frozen=True, slots=True)
class BloscChunks:
    """Where chunks lie.

    Attributes
    ----------
    files
        The files that hold some.
    owners, offsets, sizes
        Of each chunk: the number of its file, its first byte and stored bytes; each shape ``(n_chunks,)``, int64.
    """

    files: tuple[ByteSource, ...]
    owners: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "BloscChunks":
        """Return chunks [start, stop)."""
        return BloscChunks(self.files, self.owners[start:stop], self.offsets[start:stop], self.sizes[start:stop])

    def check(self, count: int) -> None:
        """Raise if a file of the first chunks was replaced."""
        for number in np.unique(self.owners[:count]).tolist():
            if not self.files[number].is_remote:  # requests for objects demand their version
                self.files[number].check()

    def scatter(
        self,
        chunks: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
        n_bytes: int,
        spans: Spans,
        item: int,
        out: NDArray[np.uint8],
        limit: int,
    ) -> tuple[int, int]:
        """Copy spans of chunks, given as `chunks_of_spans` does, of ``n_bytes`` decoded; see `scatter_blosc`.

        Files are not checked for being the ones that were opened.
        """
        with ExitStack() as opened:
            descriptors = np.full(len(self.files), -1, np.int64)
            for number in np.unique(self.owners).tolist():
                own = self.owners == number
                descriptor = opened.enter_context(self.files[number].ready(self.offsets[own], self.sizes[own]))
                if descriptor is None:
                    return SHORT_READ, 0
                descriptors[number] = descriptor
            where = descriptors[self.owners], self.offsets, self.sizes, *chunks
            stored, decoded = scratch("stored", int(self.sizes.max(initial=16))), scratch("decoded", n_bytes)
            observer = observer_here()
            seconds = _NOT_TIMED if observer is None else np.zeros(3)
            function = blosc_function()
            assert function is not None  # noqa: S101 for the type checker: see `is_blosc`
            status, done = scatter_blosc(
                function, *where, item, spans.starts, spans.lengths, spans.places, out, limit, stored, decoded, seconds
            )
        if observer is not None:
            observer.count(requests=done, bytes=int(self.sizes[:done].sum()), chunks=done)
            for phase, taken in zip((READ, DECODE, SCATTER), seconds.tolist(), strict=True):
                observer.add(phase, taken)
        return status, done
