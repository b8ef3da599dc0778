"""pyarrow tables, record batches and arrays."""

from typing import Any

from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex

__all__ = ["adapt", "take"]


def adapt(source: Any) -> InMemory | None:
    """Adapt whatever pyarrow can take rows of."""
    return InMemory(source) if hasattr(source, "take") and hasattr(source, "__len__") else None


def take(value: Any, rows: RowIndex) -> Any:
    """Take rows: without a copy for a slice."""
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(len(value))
        return value.slice(start, stop - start)
    return value.take(rows)
