"""pandas frames, series and other columns."""

from typing import Any

from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex

__all__ = ["adapt", "take"]


def adapt(source: Any) -> InMemory:
    """Adapt frames, series, indexes and extension arrays."""
    return InMemory(source)


def take(value: Any, rows: RowIndex) -> Any:
    """Take rows by position; their labels come along."""
    by_position = getattr(value, "iloc", value)
    return by_position[rows]
