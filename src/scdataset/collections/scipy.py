"""scipy sparse matrices and arrays."""

import warnings
from typing import Any

import scipy.sparse

from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex
from scdataset.errors import CollectionError

__all__ = ["adapt", "take"]


def adapt(source: Any) -> InMemory | None:
    """Adapt row-sparse matrices; warn of column-sparse ones, and refuse formats that cannot be indexed."""
    if not scipy.sparse.issparse(source):
        return None
    if not hasattr(source, "__getitem__"):
        message = (
            f"The collection is a scipy sparse matrix in {source.format!r} format, which cannot be indexed by row; "
            "give data.tocsr()."
        )
        raise CollectionError(message)
    if source.format == "csc":
        warnings.warn(
            "The collection is sparse by columns (CSC): reading rows of it scans all columns, every time. "
            "Give data.tocsr() once instead.",
            UserWarning,
            stacklevel=2,
        )
    return InMemory(source)


def take(value: Any, rows: RowIndex) -> Any:
    """Take rows, in the same format."""
    return value[rows]
