"""pyarrow tables, record batches and arrays."""

from typing import TYPE_CHECKING

from scdataset._types import RowData
from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["adapt", "take"]


def adapt(source: RowData) -> InMemory | None:
    """Adapt whatever pyarrow can take rows of."""
    return InMemory(source) if hasattr(source, "take") and hasattr(source, "__len__") else None


def take(value: "pa.Table | pa.Array", rows: RowIndex) -> RowData:
    """Take rows: without a copy for a slice."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(len(value))
        return value.slice(start, stop - start)
    return value.take(rows)
