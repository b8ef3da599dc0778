"""polars frames and series.

A worker process that was forked lacks the threads that polars takes rows of a frame with, and would wait for them
forever. Columns are taken by the thread that asks, so a frame is always handled column by column.
"""

from typing import TYPE_CHECKING

import polars as pl

from scdataset._types import RowData
from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex
from scdataset.errors import CollectionError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["adapt", "from_arrow", "take"]


def adapt(source: RowData) -> InMemory | None:
    """Adapt frames and series; refuse lazy frames, whose rows do not exist yet."""
    if isinstance(source, pl.LazyFrame):
        message = "The collection is a polars LazyFrame, which has no rows yet; give data.collect()."
        raise CollectionError(message)
    return InMemory(source) if isinstance(source, (pl.DataFrame, pl.Series)) else None


def take(value: pl.DataFrame | pl.Series, rows: RowIndex) -> pl.DataFrame | pl.Series:
    """Take rows."""
    if isinstance(rows, slice) or isinstance(value, pl.Series):
        return value[rows]
    return pl.DataFrame([column[rows] for column in value.get_columns()])


def from_arrow(table: "pa.Table") -> pl.DataFrame:
    """Return the polars frame of a pyarrow table, by ``polars.from_arrow``."""
    return pl.DataFrame([pl.Series(name, table[name]) for name in table.column_names])
