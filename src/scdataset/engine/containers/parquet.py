"""Rows of Parquet, in batches that take the memory that their values need.

A page may hold one long string, and a few bytes that repeat it in every row: strings are read as a dictionary and the
numbers of its entries, which tell how much they take before they are written out. Those in lists, and those that share
their beginnings, are read so few rows at a time that each may be as long as all that is stored.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

__all__ = ["parquet_batches", "parquet_schema"]

_ROWS = 4096
"""Rows in a batch."""

_BATCH = 1 << 26
"""Bytes that the values of a batch may take where each may be as long as all that is stored."""

_SHARES_BEGINNINGS = "DELTA_BYTE_ARRAY"
"""The encoding in which a string is stored without the beginning that it shares with the one before."""


def parquet_schema(stream: BinaryIO) -> pa.Schema:
    """Return the schema of the rows of an open file."""
    return pyarrow.parquet.ParquetFile(stream).schema_arrow


def parquet_batches(stream: BinaryIO, add: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an open file.

    Parameters
    ----------
    stream
        The file.
    add
        Is called with the bytes of each batch before it takes them, and raises if they are too many.
    """
    schema = parquet_schema(stream)
    metadata = pyarrow.parquet.read_metadata(stream)
    text = [one for one in _columns(metadata) if one.physical_type == "BYTE_ARRAY"]
    others = {one.path_in_schema for one in text if not _is_counted(one)}
    names = sorted({one.path_in_schema for one in text} - others)
    try:
        file = pyarrow.parquet.ParquetFile(stream, page_checksum_verification=True, read_dictionary=names)
    except KeyError as error:
        message = f"its columns and its schema have other names: {error}"
        raise pa.ArrowInvalid(message) from error
    longest = max((one.total_uncompressed_size for one in text if one.path_in_schema in others), default=0)
    for batch in file.iter_batches(min(max(_BATCH // max(longest, 1), 1), _ROWS)):
        add(sum(map(_plain_size, batch.columns)))
        yield batch if batch.schema.equals(schema) else batch.cast(schema)


def _columns(metadata: pyarrow.parquet.FileMetaData) -> Iterator[pyarrow.parquet.ColumnChunkMetaData]:
    """Yield the metadata of the columns of all row groups."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return (group.column(number) for group in groups for number in range(group.num_columns))


def _is_counted(column: pyarrow.parquet.ColumnChunkMetaData) -> bool:
    """Tell whether strings can be read as numbers of a dictionary; pyarrow does so for columns of strings alone."""
    return "." not in column.path_in_schema and _SHARES_BEGINNINGS not in column.encodings


def _plain_size(values: pa.Array) -> int:
    """Return the bytes that values take without dictionaries."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(values.dictionary) if len(values.dictionary) else values.dictionary
        return int(pc.sum(lengths.take(values.indices).cast(pa.int64())).as_py() or 0) + 8 * len(values)
    return int(values.nbytes)
