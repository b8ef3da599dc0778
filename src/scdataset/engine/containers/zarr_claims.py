"""Check the size that a chunk of zarr claims for itself, which zarr and numcodecs believe and allocate.

A compressed chunk says how many bytes it holds, and a chunk of strings how many strings, in its first four bytes:
https://numcodecs.readthedocs.io/en/stable/other/vlen.html
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from scdataset.engine.codecs.compressors import claimed_size
from scdataset.engine.codecs.decoding import decode
from scdataset.engine.containers.zarr_metadata import COMPRESSORS, named

__all__ = ["Claims", "most_bytes"]

_FREE, _RATIO = 1 << 28, 100
"""Bytes that any chunk may unpack to, and how many times as long as its stored bytes a longer one may be."""

_WINDOWS = {"gzip": 15, "gzip_file": 31}
"""Compressors that do not say how many bytes they hold, by the number by which zlib tells them."""

_INFLATES = 1032
"""How many times as long as its stored bytes a chunk of these is at most."""

_STEP = 1 << 20
"""Bytes that are inflated at a time to count them."""

_COUNT = 4
"""Bytes of the number of strings."""


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """Where a shard has its index, for arrays that zarr reads.

    Attributes
    ----------
    n_chunks
        Chunks in a shard.
    at_end, checked
        As in `ShardIndex`.
    """

    n_chunks: int
    at_end: bool
    checked: bool

    @classmethod
    def from_codec(cls, options: dict[str, Any], shard: Sequence[int]) -> Self:
        """Read it in the options of the codec."""
        n_chunks = math.prod(size // chunk for size, chunk in zip(shard, options["chunk_shape"], strict=True))
        checked = any(named(codec)[0] == "crc32c" for codec in options["index_codecs"])
        return cls(n_chunks, options.get("index_location", "end") == "end", checked)

    def is_index(self, start: int | None) -> bool:
        """Tell whether a part of a shard is its index, by its first byte, None for one counted from the end."""
        return start is None if self.at_end else start == 0

    def chunks(self, shard: bytes) -> Iterator[memoryview]:
        """Yield the chunks of a shard, as far as they lie in it."""
        n_bytes, view = 16 * self.n_chunks, memoryview(shard)
        start = len(view) - n_bytes - 4 * self.checked if self.at_end else 0
        for offset, size in np.frombuffer(view[max(start, 0) :][:n_bytes], "<u8").reshape(-1, 2).tolist():
            if offset + size <= len(view):
                yield view[offset : offset + size]


def most_bytes(n_stored: int) -> int:
    """Return how many bytes ``n_stored`` bytes may unpack to."""
    return max(_FREE, n_stored * _RATIO)


@dataclass(frozen=True, slots=True)
class Claims:
    """How to find the sizes that the chunks of an array claim.

    Attributes
    ----------
    compressor
        As `codecs` calls it; None for one that is not known here, and for none.
    n_strings
        Strings in a chunk; None for arrays of anything else, and for strings under a compressor that is not known.
    n_bytes
        Bytes of a chunk of numbers when it is decoded; None where the metadata do not tell.
    shard
        None where a key holds one chunk.
    n_checksum
        Bytes of a checksum that follow a chunk.
    """

    compressor: str | None = None
    n_strings: int | None = None
    n_bytes: int | None = None
    shard: ShardLayout | None = None
    n_checksum: int = 0

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> Self:
        """Read them in the metadata of an array, of any kind; none where these are damaged."""
        try:
            version_3 = metadata["zarr_format"] == 3
            grid = metadata["chunk_grid"]["configuration"]["chunk_shape"] if version_3 else metadata["chunks"]
            codecs, shard = [named(codec) for codec in metadata["codecs"]] if version_3 else [], None
            if codecs and codecs[0][0] == "sharding_indexed":
                options = codecs[0][1]
                shard, grid = ShardLayout.from_codec(options, grid), options["chunk_shape"]
                codecs = [named(codec) for codec in options["codecs"]]
            names = [name for name, _ in codecs] if version_3 else _names(metadata)
            n_checksum = 4 * (names[-1] == "crc32c")
            names = names[:-1] if n_checksum else names
            last = names[-1].removeprefix("numcodecs.")
            known = last in COMPRESSORS or last.startswith("vlen-")
            strings = known and names[0].startswith("vlen-") and len(names) <= 2
            item = _item_bytes(metadata)
            n_bytes = None if item is None else math.prod(grid) * item
            return cls(COMPRESSORS.get(last), math.prod(grid) if strings else None, n_bytes, shard, n_checksum)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            return cls()

    def check(self, content: Any, start: int | None = 0, *, whole: bool = True) -> None:
        """Raise if a chunk says that it holds more than it can.

        Parameters
        ----------
        content
            The value of a key, or a part of it.
        start, whole
            Where the part begins, None for one that is counted from the end, and whether it is all.

        Raises
        ------
        ValueError
            With the size that it claims.
        DamagedFileError
            If it cannot be decoded.
        """
        for chunk in self._chunks(content, start, whole=whole):
            self._check_chunk(chunk if self.n_checksum == 0 else chunk[: -self.n_checksum])

    def _chunks(self, content: Any, start: int | None, *, whole: bool) -> Iterable[Any]:
        if self.shard is None:
            return [content] if whole else []
        if whole:
            return self.shard.chunks(content)
        return [] if self.shard.is_index(start) else [content]

    def _check_chunk(self, content: Any) -> None:
        size = 0 if self.compressor is None else claimed_size(self.compressor, content)
        most = most_bytes(len(content)) if self.n_bytes is None else self.n_bytes + self.n_bytes // 8 + 1024
        if self.compressor in _WINDOWS and len(content) * _INFLATES > _FREE:
            size = _inflated_size(content, _WINDOWS[self.compressor], most)
        if self.compressor == "zstd" and size == 0 and self.n_bytes is not None:  # it does not say: it has to fit
            decode(content, (("zstd", None),), 0, np.dtype("u1"), self.n_bytes)
        if size > most:
            message = f"it unpacks to {size} bytes from {len(content)}, where at most {most} can be"
            raise ValueError(message)
        if self.n_strings is not None:
            n_strings = int.from_bytes(self._first_bytes(content, size), "little")
            if n_strings > self.n_strings:
                message = f"it says it has {n_strings} strings, where a chunk has {self.n_strings}"
                raise ValueError(message)

    def _first_bytes(self, content: Any, size: int) -> bytes:
        if self.compressor in _WINDOWS:
            return zlib.decompressobj(_WINDOWS[self.compressor]).decompress(content, _COUNT)
        if self.compressor is None or size == 0:
            return bytes(content[:_COUNT])
        return decode(content, ((self.compressor, None),), 0, np.dtype("u1"), size)[:_COUNT].tobytes()


def _inflated_size(content: Any, window: int, most: int) -> int:
    """Return how many bytes the members of a stream inflate to, as far as they are no more than one above ``most``."""
    size, rest = 0, bytes(content)
    while rest and size <= most:
        member = zlib.decompressobj(window)
        while not member.eof and size <= most:
            inflated = len(member.decompress(rest, min(_STEP, most + 1 - size)))
            size, rest = size + inflated, member.unconsumed_tail
            if not inflated and not rest:
                break  # cut short, which is told when it is decoded
        rest = member.unused_data
    return size


def _item_bytes(metadata: dict[str, Any]) -> int | None:
    """Return the bytes of an element of an array of numbers without other codecs; None for any other."""
    said = metadata.get("data_type", metadata.get("dtype"))
    if not isinstance(said, str) or metadata.get("filters"):
        return None
    try:
        dtype = np.dtype(said)
    except TypeError:
        return None
    return dtype.itemsize if dtype.kind in "iufb" else None


def _names(metadata: dict[str, Any]) -> list[str]:
    """Return the codecs of an array of version 2, in the order in which they encode."""
    compressor = metadata["compressor"]
    filters = [one["id"] for one in metadata.get("filters") or []]
    return [*filters, *([] if compressor is None else [compressor["id"]])]
