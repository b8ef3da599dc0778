"""polars frames and series."""

from typing import Any

from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex
from scdataset.errors import CollectionError

__all__ = ["adapt", "take"]


def adapt(source: Any) -> InMemory:
    """Adapt frames and series; refuse lazy frames, whose rows do not exist yet."""
    if not hasattr(source, "__len__"):
        message = f"The collection is a polars {type(source).__name__}, which has no rows yet; give data.collect()."
        raise CollectionError(message)
    return InMemory(source)


def take(value: Any, rows: RowIndex) -> Any:
    """Take rows."""
    return value[rows]
