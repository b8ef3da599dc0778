"""Check the size that a chunk of zarr claims for itself, which zarr and numcodecs believe and allocate.

Chunks of strings have their number in the first four bytes: https://numcodecs.readthedocs.io/en/stable/other/vlen.html
Shards have an index of chunks, which may be shards in turn.
"""

import lzma
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from scdataset._tables import counted
from scdataset._types import BytesLike
from scdataset.engine.codecs.compressors import memory_of
from scdataset.engine.codecs.decoding import FilterOption
from scdataset.engine.codecs.unpacking import FREE, Filters, check_unpacked, most_bytes, unpacked
from scdataset.engine.containers.zarr_metadata import COMPRESSORS, ArrayJson, CodecOptions, named

__all__ = ["Claims"]

_NAMES = {**COMPRESSORS, "bz2": "bzip2", "lzma": "lzma"}
"""Compressors of zarr, as `codecs` calls them."""

_STRINGS = (["vlen-utf8"], ["vlen-bytes"])
"""Codecs of strings, which come first."""

_PLAIN = {"bytes", "transpose", "shuffle", "crc32c", *_NAMES.values()}
"""Codecs by which metadata tell how many bytes a chunk has."""

_LZMA_FORMATS = (lzma.FORMAT_AUTO, lzma.FORMAT_XZ, lzma.FORMAT_ALONE)
"""With headers, which say how much memory a stream takes."""

_SLACK = 1024
"""Bytes that encoding adds to any chunk at most, and an eighth of it."""

_COUNT = 4
"""Bytes of the number of strings."""

_FEW = 1 << 16
"""Chunks that any shard may have."""


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """Where a shard has its index, for arrays that zarr reads.

    Attributes
    ----------
    n_chunks
        Chunks in a shard.
    at_end, checked
        As in `ShardIndex`.
    claims
        Those of its chunks.
    """

    n_chunks: int
    at_end: bool
    checked: bool
    claims: "Claims"

    @classmethod
    def from_codec(cls, options: CodecOptions, shard: Sequence[int], claims: "Claims") -> Self:
        """Read it in the options of the codec."""
        n_chunks = math.prod(size // chunk for size, chunk in zip(shard, options["chunk_shape"], strict=True))
        checked = any(named(codec)[0] == "crc32c" for codec in options["index_codecs"])
        return cls(n_chunks, options.get("index_location", "end") == "end", checked, claims)

    @property
    def most_added(self) -> int:
        """Bytes that a shard has at most above those of its elements."""
        of_each = 0 if self.claims.shard is None else self.claims.shard.most_added
        return self.n_bytes + self.n_chunks * (_SLACK + of_each)

    @property
    def n_bytes(self) -> int:
        """Bytes of the index."""
        return 16 * self.n_chunks + 4 * self.checked

    def is_index(self, start: int | None, n_bytes: int) -> bool:
        """Tell whether a part of a shard is its index, by its first byte, None for one counted from the end."""
        return start is None if self.at_end else start == 0 and n_bytes == self.n_bytes

    def check_index(self, index: BytesLike) -> None:
        """Raise if the index is cut short, or gives its own bytes as those of a chunk."""
        if len(index) < self.n_bytes and self.n_chunks > _FEW:
            message = f"it has {counted(len(index), 'byte')} of an index of {self.n_bytes:,}"
            raise ValueError(message)
        if not self.at_end:
            offsets = np.frombuffer(index, "<u8", len(index) // 16 * 2)[::2]
            if (offsets < self.n_bytes).any():
                message = "it has a chunk in the bytes of its index"
                raise ValueError(message)

    def chunks(self, shard: BytesLike) -> Iterator[memoryview]:
        """Yield the chunks of a shard, as far as they lie in it."""
        view = memory_of(shard)
        start = max(len(view) - self.n_bytes, 0) if self.at_end else 0
        index = view[start : start + self.n_bytes]
        self.check_index(index)
        for offset, size in (
            np.frombuffer(index, "<u8", min(self.n_chunks, len(index) // 16) * 2).reshape(-1, 2).tolist()
        ):
            if offset + size <= len(view):
                yield view[offset : offset + size]


@dataclass(frozen=True, slots=True)
class Claims:
    """How to find the sizes that the chunks of an array claim.

    Attributes
    ----------
    filters
        Codecs of a chunk as `codecs` calls them, first applied first.
    n_strings
        Strings in a chunk; None for arrays of anything else.
    n_bytes, n_held
        Bytes of a chunk when it is decoded, None where metadata do not tell; and those of the array.
    shard
        Where a chunk has an index of others; None where it has none.
    """

    filters: Filters = ()
    n_strings: int | None = None
    n_bytes: int | None = None
    n_held: int = 0
    shard: ShardLayout | None = None

    @classmethod
    def from_metadata(cls, metadata: ArrayJson) -> Self:
        """Read them in the metadata of an array, of any kind; where these are damaged, its codecs are not known."""
        try:
            if "shape" not in metadata:
                return cls()
            item = _item_bytes(metadata)
            n_held = math.prod(metadata["shape"]) * (item or 0)
            if metadata["zarr_format"] == 3:
                grid = metadata["chunk_grid"]["configuration"]["chunk_shape"]
                return cls._from_codecs([named(codec) for codec in metadata["codecs"]], grid, item, n_held)
            compressor = metadata["compressor"]
            stored = [*(metadata.get("filters") or []), *([] if compressor is None else [compressor])]
            return cls._from_codecs([(codec["id"], codec) for codec in stored], metadata["chunks"], item, n_held)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            return cls((("a codec in damaged metadata", None),))

    @classmethod
    def _from_codecs(
        cls, codecs: list[tuple[str, CodecOptions]], grid: Sequence[int], item: int | None, n_held: int
    ) -> Self:
        names, shard = [name for name, _ in codecs], None
        if "sharding_indexed" in names:
            at = names.index("sharding_indexed")
            options, codecs = codecs[at][1], codecs[at + 1 :]
            inner = [named(codec) for codec in options["codecs"]]
            chunks = cls._from_codecs(inner, options["chunk_shape"], item, n_held)
            shard = ShardLayout.from_codec(options, grid, chunks)
        filters = tuple(_filter(*codec) for codec in codecs)
        length = math.prod(grid)
        n_bytes = length * item if item is not None and _PLAIN.issuperset(name for name, _ in filters) else None
        return cls(filters, length if names[:1] in _STRINGS else None, n_bytes, n_held, shard)

    def check_stored(self, size: int) -> None:
        """Raise if a key has more bytes than its content can take up, or claims more than the array holds."""
        if self.n_bytes is None:
            return
        if self.n_bytes > max(self.n_held, FREE):
            message = f"it is a chunk of {counted(self.n_bytes, 'byte')}, in an array of {self.n_held:,}"
            raise ValueError(message)
        most = self._most(size) if self.shard is None else self._most(size) + self.shard.most_added
        if size > most:
            message = f"it has {counted(size, 'byte')}, and its content at most {most:,}"
            raise ValueError(message)

    def check(self, content: BytesLike, start: int | None = 0, *, whole: bool = True) -> None:
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
        if self.shard is not None:
            for chunk in self._chunks(self.shard, content, start, whole=whole):
                self.shard.claims.check(chunk)
        elif whole:
            self._check_chunk(content)

    def _chunks(self, shard: ShardLayout, content: BytesLike, start: int | None, *, whole: bool) -> Iterable[BytesLike]:
        """Return the chunks in a shard or in a part of it, which is its index or a chunk."""
        if whole:
            return shard.chunks(unpacked(content, self.filters, self._most(len(content)) + shard.most_added))
        if not shard.is_index(start, len(content)):
            return [content]
        shard.check_index(content)
        return []

    def _check_chunk(self, content: BytesLike) -> None:
        most = self._most(len(content))
        check_unpacked(content, self.filters, most)
        if self.n_strings is not None:
            n_strings = int.from_bytes(unpacked(content, self.filters[1:], most)[:_COUNT], "little")
            if n_strings > self.n_strings:
                message = f"it says it has {n_strings} strings, where a chunk has {self.n_strings}"
                raise ValueError(message)

    def _most(self, n_stored: int) -> int:
        """Return how many bytes a chunk may unpack to; encoding twice may have made it a little larger."""
        return most_bytes(n_stored) if self.n_bytes is None else self.n_bytes + self.n_bytes // 8 + _SLACK


def _filter(name: str, options: CodecOptions) -> tuple[str, FilterOption]:
    """Return a codec as `codecs` calls it."""
    name = name.removeprefix("numcodecs.")
    if name == "shuffle":
        return name, (options.get("elementsize", 4),)
    if name == "lzma":
        kind = options.get("format", 1)
        return (name, kind) if kind in _LZMA_FORMATS else ("lzma without a header", None)
    return _NAMES.get(name, "checksum" if name == "fletcher32" else name), None


def _item_bytes(metadata: ArrayJson) -> int | None:
    """Return the bytes of an element, None where it has any number of them."""
    said = metadata["data_type"] if "data_type" in metadata else metadata["dtype"]
    if isinstance(said, dict):  # of strings of one length
        length = said["configuration"].get("length_bytes")
        return None if length is None else int(length)
    try:
        dtype = np.dtype(said if isinstance(said, str) else [tuple(field) for field in said])
    except (TypeError, ValueError):
        return None
    return None if dtype.hasobject else dtype.itemsize
