"""Chunks that blosc or zstd alone encodes, as `scdataset.convert` writes them: a compiled loop decodes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.arrays.spans import Spans, scratch
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.codecs.compressors import decoding_function
from scdataset.engine.kernels.decode import BLOSC, ZSTD, scatter_encoded
from scdataset.engine.kernels.gather import READS_COMPILED, SHORT_READ
from scdataset.engine.observer import DECODE, READ, SCATTER, observer_here

__all__ = ["Decoder", "EncodedChunks", "decoder_of"]

_NOT_TIMED = np.empty(0)

_CODECS = {"blosc": BLOSC, "zstd": ZSTD}

Decoder: TypeAlias = tuple[int, int]
"""Address of a function, and the number of the codec, for `scatter_encoded`."""


def decoder_of(filters: Sequence[tuple[str, object]]) -> Decoder | None:
    """Return the function and number of the codec that alone encodes chunks; None where no compiled loop decodes it."""
    if not READS_COMPILED or len(filters) != 1:
        return None
    name = filters[0][0]
    function = decoding_function(name) if name in _CODECS else None
    return None if function is None else (function, _CODECS[name])


@dataclass(frozen=True, slots=True)
class EncodedChunks:
    """Where chunks lie.

    Attributes
    ----------
    decoder
        Of their codec.
    files
        The files that hold some.
    owners, offsets, sizes
        Of each chunk: the number of its file, its first byte and stored bytes; each shape ``(n_chunks,)``, int64.
    """

    decoder: Decoder
    files: tuple[ByteSource, ...]
    owners: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "EncodedChunks":
        """Return chunks [start, stop)."""
        part = slice(start, stop)
        return EncodedChunks(self.decoder, self.files, self.owners[part], self.offsets[part], self.sizes[part])

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
        """Copy spans of chunks, given as `chunks_of_spans` does, of ``n_bytes`` decoded; see `scatter_encoded`.

        Files are not checked for being the ones that were opened.
        """
        observer = observer_here()
        seconds = _NOT_TIMED if observer is None else np.zeros(3)
        stored, decoded = scratch("stored", int(self.sizes.max(initial=16))), scratch("decoded", n_bytes)
        (numbers, firsts, lasts), status, done = chunks, 0, 0
        bounds = np.flatnonzero(np.diff(self.owners, prepend=-1, append=-1)).tolist()
        for start, stop in pairwise(bounds):  # chunks of one file each
            own = slice(start, stop)
            with self.files[self.owners[start]].ready(self.offsets[own], self.sizes[own]) as descriptor:
                if descriptor is None:
                    return SHORT_READ, done
                where = self.offsets[own], self.sizes[own], numbers[own], firsts[own], lasts[own]
                status, count = scatter_encoded(
                    *self.decoder, descriptor, *where, item, spans.starts, spans.lengths, spans.places, out, limit,
                    stored, decoded, seconds,
                )  # fmt: skip
            done += count
            if status:
                break
        if observer is not None:
            observer.count(requests=done, bytes=int(self.sizes[:done].sum()), chunks=done)
            for phase, taken in zip((READ, DECODE, SCATTER), seconds.tolist(), strict=True):
                observer.add(phase, taken)
        return status, done
