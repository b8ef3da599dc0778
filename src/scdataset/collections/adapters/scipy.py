"""scipy sparse matrices and arrays."""

import operator
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse

from scdataset._arguments import warn
from scdataset._types import RowData
from scdataset.collections.adapters import numpy
from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex
from scdataset.errors import CollectionError

__all__ = ["adapt", "cut", "take", "warn_if_by_column"]


class SparseInMemory(InMemory):
    """A sparse matrix in memory: to cut a few rows from a window takes a tenth of the time of indexing by scipy."""

    def batch_taker(self, *, leave: bool) -> None:
        """Return None: windows cost less."""


def adapt(source: RowData) -> InMemory | None:
    """Adapt sparse matrices and arrays."""
    return _indexed_by_row(source) if scipy.sparse.issparse(source) else None


def _indexed_by_row(source: Any) -> InMemory:
    """Adapt row-sparse ones; warn of column-sparse ones, and refuse formats that are not made for indexing."""
    if source.format not in ("csr", "csc", "lil"):
        message = (
            f"The collection is a scipy sparse matrix in {source.format!r} format, which cannot be indexed by row; "
            "give data.tocsr()."
        )
        raise CollectionError(message)
    warn_if_by_column(source, "Give data.tocsr() once instead.")
    return SparseInMemory(source)


def warn_if_by_column(matrix: RowData, remedy: str) -> None:
    """Warn of the cost of a column-sparse matrix, in memory or on disk."""
    if getattr(matrix, "format", None) == "csc":
        warn("The collection is sparse by columns (CSC): reading rows of it scans all columns, every time. " + remedy)


def take(value: Any, rows: RowIndex) -> RowData:
    """Take rows, in the same format: for a slice of CSR over the same memory."""
    if isinstance(rows, slice) and value.format == "csr" and value.ndim == 2:
        return _rows(value, *rows.indices(value.indptr.size - 1)[:2], take_elements=operator.getitem)
    return _indexed(value, rows)


def cut(value: Any, rows: slice) -> RowData:
    """Cut rows, in the same format."""
    if value.format == "csr" and value.ndim == 2:
        return _rows(value, rows.start, rows.stop, take_elements=numpy.cut)
    return _indexed(value, np.arange(rows.start, rows.stop))


def _indexed(value: Any, rows: RowIndex) -> RowData:
    try:
        return value[rows]
    except (TypeError, NotImplementedError) as error:
        message = (
            f"Rows are taken from a scipy sparse matrix in {value.format!r} format, which cannot be indexed by row; "
            "give matrix.tocsr(), or return that from the hook."
        )
        raise CollectionError(message) from error


def _rows(value: Any, start: int, stop: int, take_elements: Callable[[Any, slice], Any]) -> RowData:
    """Return rows [start, stop): scipy's constructor looks through all indices."""
    pointers = value.indptr[start : stop + 1]
    elements = slice(pointers[0], pointers[-1])
    kind: Any = type(value)
    rows = kind.__new__(kind)
    rows.__dict__.update(_attributes(kind, stop - start, value.shape[1], value.data.dtype))
    rows.data, rows.indices = take_elements(value.data, elements), take_elements(value.indices, elements)
    rows.indptr = pointers - elements.start
    return rows


@lru_cache(maxsize=64)
def _attributes(kind: Hashable, n_rows: int, n_columns: int, dtype: object) -> dict[str, object]:
    """Return the attributes of a matrix without elements: to copy them takes a tenth of the time of making a matrix."""
    make: Any = kind
    return dict(vars(make((n_rows, n_columns), dtype=dtype)))
