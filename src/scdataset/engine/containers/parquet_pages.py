"""Headers of Parquet pages: pyarrow takes as much memory as a page claims to unpack to, so claims are checked first.

The metadata have the sum over the pages of a column, which `expansion` bounds; pyarrow does not hold pages to it.
Headers are structs of Thrift: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md for their form.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scdataset._tables import counted
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.codecs.unpacking import FREE
from scdataset.errors import DamagedFileError

if TYPE_CHECKING:
    from pyarrow.parquet import ColumnChunkMetaData, FileMetaData

__all__ = ["check_pages"]

_RATIOS = {"UNCOMPRESSED": 1, "SNAPPY": 64, "GZIP": 1032, "LZ4": 256}
"""How many times as long as its stored bytes the content of these codecs is at most."""

_ANY = FREE
"""That of others."""

_HEADER, _MOST_HEADER = 1 << 10, 1 << 24
"""Bytes that are read for a header, and those that one has at most: it may hold the least and the largest value."""

_UNPACKED, _STORED, _DICTIONARY, _N_VALUES = 2, 3, 7, 1
"""Numbers of fields: of a page, and of the header of a dictionary."""

_INTEGERS, _BYTES, _STRUCT = range(4, 7), 8, 12
"""Types of fields; 1 and 2 are true and false, 3 is a byte, and 7 a number of eight bytes."""

_LAST, _DEPTH = 0, 8
"""The type at the end of a struct, and how many structs within each other are read."""

_FIXED = {1: 0, 2: 0, 3: 1, 7: 8}


def check_pages(source: ByteSource, metadata: "FileMetaData") -> None:
    """Raise if the pages of a row group say that they unpack to more than its metadata say.

    Columns that are too short to unpack to much are not looked into.

    Raises
    ------
    DamagedFileError
        Naming the column, or the place where a page has no header.
    """
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(place) for place in range(group.num_columns)]
        left = max(FREE, sum(column.total_uncompressed_size for column in columns))
        for column in columns:
            if column.total_compressed_size * _RATIOS.get(column.compression, _ANY) <= FREE // len(columns):
                continue
            for unpacked in _pages(source, column):
                left -= unpacked
                if left < 0:
                    message = (
                        f"{source.path}: the pages of {column.path_in_schema} in row group {number} say that they "
                        f"unpack to {counted(-left, 'byte')} more than its metadata say; it is damaged."
                    )
                    raise DamagedFileError(message)


def _pages(source: ByteSource, column: "ColumnChunkMetaData") -> Iterator[int]:
    """Yield the bytes that each page of a column takes, for values of a dictionary at least one each."""
    begins = (column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
    at = min(begins)
    end = at + column.total_compressed_size
    while at < end:
        fields, size = _header(source, at, min(end - at, _MOST_HEADER))
        stored, unpacked = fields.get(_STORED), fields.get(_UNPACKED)
        if not isinstance(stored, int) or not isinstance(unpacked, int) or min(stored, unpacked) < 0:
            raise _damaged(source, at)
        dictionary = fields.get(_DICTIONARY)
        n_values = dictionary.get(_N_VALUES) if isinstance(dictionary, dict) else 0
        yield max(unpacked, n_values if isinstance(n_values, int) else 0)
        at += size + stored


def _header(source: ByteSource, at: int, most: int) -> tuple[dict[int, object], int]:
    """Return the fields of the header of a page, and its bytes."""
    n_read = min(_HEADER, most)
    while True:
        stored = source.read_unchecked(at, n_read)
        try:
            return _struct(stored, 0, _DEPTH)
        except IndexError:
            if n_read >= most or len(stored) < n_read:
                raise _damaged(source, at) from None
            n_read = min(n_read * 16, most)
        except ValueError:
            raise _damaged(source, at) from None


def _damaged(source: ByteSource, at: int) -> DamagedFileError:
    return DamagedFileError(f"{source.path} has no header of a page at byte {at:,}, where there has to be one.")


def _struct(stored: bytes, at: int, depth: int) -> tuple[dict[int, object], int]:
    """Return the fields of a struct by their numbers, and where it ends.

    Raises
    ------
    IndexError
        If it goes on after the bytes.
    ValueError
        If it is none, or has more structs within each other than headers of pages have.
    """
    fields: dict[int, object] = {}
    number = 0
    while stored[at] != _LAST:
        kind, step = stored[at] & 15, stored[at] >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _number(stored, at)
        fields[number], at = _value(stored, at, kind, depth)
    return fields, at + 1


def _value(stored: bytes, at: int, kind: int, depth: int) -> tuple[object, int]:
    """Return the value of a field, None for those that are of no use here, and where it ends."""
    if kind in _INTEGERS:
        return _number(stored, at)
    if kind == _BYTES:
        length, at = _varint(stored, at)
        return None, at + length
    if kind == _STRUCT and depth:
        return _struct(stored, at, depth - 1)
    if kind in _FIXED:
        return None, at + _FIXED[kind]
    message = f"a header of a page has no field of type {kind}"
    raise ValueError(message)


def _number(stored: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(stored, at)
    return value >> 1 ^ -(value & 1), at


def _varint(stored: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while stored[at] & 128:
        value |= (stored[at] & 127) << shift
        shift += 7
        at += 1
    return value | stored[at] << shift, at + 1
