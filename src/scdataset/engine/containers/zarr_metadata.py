"""zarr: the chunks of an array by its metadata.

Versions 2 and 3 of the format: https://zarr-specs.readthedocs.io.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np

from scdataset._types import DType
from scdataset.engine.codecs.decoding import FilterOption

__all__ = ["COMPRESSORS", "ArrayJson", "Codec", "CodecOptions", "ShardIndex", "ZarrArray", "array_of", "named"]

COMPRESSORS = {"blosc": "blosc", "zstd": "zstd", "gzip": "gzip_file", "zlib": "gzip", "lz4": "lz4"}
"""Compressors of zarr that are decoded here, as `codecs` calls them; any other sends the array through zarr."""

_LARGEST_PADDED = 1 << 31
"""Bytes up to which a chunk may be larger than all of its array: more than that is a damaged size."""

_V3_TYPES = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
}  # fmt: skip


class CodecOptions(TypedDict, total=False):
    """Options of codecs, as far as they are looked at: of version 2, beside the name as ``id``."""

    id: str
    endian: Literal["little", "big"]
    elementsize: int
    format: int
    chunk_shape: list[int]
    codecs: "list[Codec | str]"
    index_codecs: "list[Codec | str]"
    index_location: str


class Codec(TypedDict, total=False):
    """A codec of version 3."""

    name: str
    configuration: CodecOptions


class _Keys(TypedDict, total=False):
    separator: str


class _Named(TypedDict, total=False):
    """The encoding of keys."""

    name: str
    configuration: _Keys


class _Length(TypedDict, total=False):
    length_bytes: int


class _FixedLength(TypedDict):
    """A type of strings of one length."""

    configuration: _Length


class _Grid(TypedDict):
    name: str
    configuration: CodecOptions


class ArrayJson(TypedDict, total=False):
    """The metadata of an array, of version 2 or 3, as far as they are looked at and as they ought to be."""

    zarr_format: int
    shape: list[int]
    fill_value: object
    dtype: str | list[Sequence[str]]
    chunks: list[int]
    compressor: CodecOptions | None
    filters: list[CodecOptions] | None
    order: str
    dimension_separator: str
    data_type: "str | _FixedLength"
    chunk_grid: _Grid
    chunk_key_encoding: _Named
    codecs: list[Codec | str]
    storage_transformers: list[object]


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """The index of a shard: ``n`` pairs of offset and size, all ones for chunks never written.

    Attributes
    ----------
    at_end
        Whether it is the end of the shard, or else its start.
    checked
        Whether a CRC-32C follows it.
    dtype
        Of the numbers, byte order included.
    """

    at_end: bool
    checked: bool
    dtype: DType


@dataclass(frozen=True, slots=True)
class ZarrArray:
    """The metadata of an array of a kind that is read here.

    Attributes
    ----------
    shape, dtype
        Of the array, of one or two axes; the dtype as it is stored, byte order included.
    chunk
        Shape of a chunk, the smallest thing that is decoded.
    shard
        Shape of the content of a key: one chunk, or many with an index.
    filters
        How a chunk is encoded, for `codecs.decode`.
    fill
        Value of elements that were never written.
    prefix, separator
        Of the keys of chunks: ``prefix + separator.join(place in the grid)``.
    index
        None where a key holds one chunk.
    """

    shape: tuple[int, ...]
    dtype: DType
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    filters: tuple[tuple[str, FilterOption], ...]
    fill: object
    prefix: str
    separator: str
    index: ShardIndex | None = None

    @property
    def length(self) -> int:
        """Elements in a chunk."""
        return math.prod(self.chunk)

    @property
    def n_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return self.length * self.dtype.itemsize

    @property
    def grid(self) -> tuple[int, int]:
        """Chunks along the rows and along the columns; one column where there is one axis."""
        rows, columns, *_ = *(-(-size // chunk) for size, chunk in zip(self.shape, self.chunk, strict=True)), 1
        return rows, max(columns, 1)

    @property
    def per_shard(self) -> tuple[int, int]:
        """Chunks of a shard along the rows and along the columns."""
        rows, columns, *_ = *(shard // chunk for shard, chunk in zip(self.shard, self.chunk, strict=True)), 1
        return rows, columns


def array_of(metadata: ArrayJson) -> ZarrArray | None:
    """Return the metadata of an array, or None if it takes zarr to read it."""
    try:
        array = _version_3(metadata) if metadata["zarr_format"] == 3 else _version_2(metadata)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None
    if array is None or len(array.shape) not in {1, 2} or array.dtype.kind not in "iufb":
        return None
    if array.separator not in {"/", "."}:  # it becomes a part of paths
        return None
    return array if _fits(array) else None


def _fits(array: ZarrArray) -> bool:
    """Tell whether shapes are integers that agree, and a chunk is no larger than memory addresses and the array go."""
    shapes = array.shape, array.chunk, array.shard
    if any(
        type(size) is not int or size < least for shape, least in zip(shapes, (0, 1, 1), strict=True) for size in shape
    ):
        return False
    if not len(array.shape) == len(array.chunk) == len(array.shard):
        return False
    if any(shard % chunk for shard, chunk in zip(array.shard, array.chunk, strict=True)):
        return False
    n_bytes, held = (math.prod(shape) * array.dtype.itemsize for shape in (array.shard, array.shape))
    return n_bytes <= max(held, _LARGEST_PADDED)


def _version_2(metadata: ArrayJson) -> ZarrArray | None:
    shape, dtype, chunk = tuple(metadata["shape"]), np.dtype(metadata["dtype"]), tuple(metadata["chunks"])
    compressor = metadata["compressor"]
    if metadata.get("filters") or (metadata["order"] != "C" and len(shape) > 1):
        return None
    filters = () if compressor is None else ((COMPRESSORS[compressor["id"]], None),)
    fill = _fill(metadata["fill_value"], dtype)
    return ZarrArray(shape, dtype, chunk, chunk, filters, fill, "", metadata.get("dimension_separator", "."))


def _version_3(metadata: ArrayJson) -> ZarrArray | None:
    grid, keys = metadata["chunk_grid"], metadata["chunk_key_encoding"]
    if grid["name"] != "regular" or metadata.get("storage_transformers") or metadata["data_type"] not in _V3_TYPES:
        return None
    shard = chunk = tuple(grid["configuration"]["chunk_shape"])
    codecs, index = [named(codec) for codec in metadata["codecs"]], None
    if codecs[0][0] == "sharding_indexed" and len(codecs) == 1:
        options = codecs[0][1]
        chunk = tuple(options["chunk_shape"])
        numbers, checks = _encoding([named(codec) for codec in options["index_codecs"]], np.dtype(np.uint64))
        if [name for name, _ in checks] not in ([], ["crc32c"]):
            return None
        index = ShardIndex(options.get("index_location", "end") == "end", bool(checks), numbers)
        codecs = [named(codec) for codec in options["codecs"]]
    dtype, filters = _encoding(codecs, np.dtype(metadata["data_type"]))
    default = {"default": "/", "v2": "."}[keys["name"]]  # a KeyError for any other encoding
    separator = keys.get("configuration", {}).get("separator", default)
    prefix = f"c{separator}" if keys["name"] == "default" else ""
    fill = _fill(metadata["fill_value"], dtype)
    return ZarrArray(tuple(metadata["shape"]), dtype, chunk, shard, filters, fill, prefix, separator, index)


def named(codec: "Codec | str") -> tuple[str, CodecOptions]:
    """Return name and options of a codec, which the specification allows to be a bare name."""
    return (codec, {}) if isinstance(codec, str) else (codec["name"], codec.get("configuration", {}))


def _encoding(
    codecs: Sequence[tuple[str, CodecOptions]], dtype: DType
) -> tuple[DType, tuple[tuple[str, FilterOption], ...]]:
    """Return the stored dtype and the filters of a chain of codecs; KeyError for one that is not known here."""
    (first, options), *others = codecs
    orders: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
    order = {"bytes": orders[options.get("endian", "little")]}[first]
    known = {**COMPRESSORS, **{f"numcodecs.{name}": code for name, code in COMPRESSORS.items()}, "crc32c": "crc32c"}
    return dtype.newbyteorder(order), tuple((known[name], None) for name, _ in others)


def _fill(value: object, dtype: DType) -> object:
    """Return a fill value, which JSON has as a number, a name such as "NaN", the bits in hexadecimal, or null."""
    if isinstance(value, str) and value.startswith("0x"):
        return np.frombuffer(bytes.fromhex(value[2:]), dtype.newbyteorder(">"))[0]
    return dtype.newbyteorder("=").type(0 if value is None else value)
