"""pandas frames, series and other columns."""

from typing import TYPE_CHECKING

from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex
from scdataset.errors import CollectionError

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.extensions import ExtensionArray

__all__ = ["adapt", "take"]


def adapt(source: RowData) -> InMemory | None:
    """Adapt frames, series, indexes and extension arrays; name the remedy for a frame that was grouped."""
    if hasattr(source, "ngroups"):
        message = (
            f"The collection is a pandas {type(source).__qualname__} of {counted(source.ngroups, 'group')}, which has "
            "no rows of its own. Give the frame that was grouped, and the groups to the strategy, such as "
            "ClassBalancedSampling(labels=frame[column])."
        )
        raise CollectionError(message)
    return InMemory(source) if hasattr(source, "take") and hasattr(source, "shape") else None


def take(value: "pd.DataFrame | pd.Series | pd.Index | ExtensionArray", rows: RowIndex) -> RowData:
    """Take rows by position; their labels come along."""
    if not isinstance(rows, slice):
        return value.take(rows)
    if not hasattr(value, "iloc"):
        return value[rows]
    # A shallow copy can be given a column without a warning about the frame that it is a part of.
    return value.iloc[rows].copy(deep=False)
