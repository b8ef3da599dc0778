"""Small tables in Parquet files: genes, and columns of obs."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from scdataset._tables import counted
from scdataset.cells.formats.read_errors import reading
from scdataset.engine.bytes.opening import buffered, open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.containers.expansion import Unpacked, check_unpacked, least_size
from scdataset.engine.containers.parquet import parquet_batches, parquet_schema
from scdataset.engine.containers.parquet_pages import check_pages
from scdataset.errors import DamagedFileError

__all__ = ["MOST_GENES", "parquet_rows", "parquet_table"]

MOST_GENES = 1 << 24
"""Rows that a table of genes may have."""


def parquet_table(path: str, most_rows: int) -> pd.DataFrame:
    """Read a table.

    Parameters
    ----------
    path
        The file, or its URL.
    most_rows
        Rows that it can have: a kilobyte of Parquet may claim any number of them.

    Raises
    ------
    DamagedFileError
        If it has more, cannot be read, or is no regular file.
    """
    return parquet_rows(open_bytes(path), most_rows)


def parquet_rows(source: ByteSource, most_rows: int) -> pd.DataFrame:
    """Read the table in a file that is open; see `parquet_table`."""
    path = source.path
    with reading(path, "its table"), buffered(source) as stream:
        metadata = pyarrow.parquet.read_metadata(stream)
        n_rows = metadata.num_rows
        if n_rows > most_rows:
            message = f"{path} has {counted(n_rows, 'row')}, where at most {most_rows:,} can be; it is damaged."
            raise DamagedFileError(message)
        check_unpacked(source, least_size(metadata))
        check_pages(source, metadata)
        batches = parquet_batches(stream, Unpacked(source).add)
        table: pd.DataFrame = pa.Table.from_batches(batches, parquet_schema(stream)).to_pandas()
        return table
