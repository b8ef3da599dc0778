"""The matrices that are converted, read from the collections that hold them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._types import DType
from scdataset.cells import CellCollection
from scdataset.conversion.ahead import read_ahead
from scdataset.conversion.order import RowOrder
from scdataset.conversion.values import ValueRange, exactly
from scdataset.engine.matrices.parts import MatrixRows

__all__ = ["MatrixSource", "Scan", "scanned"]

_WINDOW_BYTES = 64 << 20
"""Size of a window of the scan, about."""

_FIRST_ROWS = 512
"""Rows of its first window, from which the size of the others is chosen."""


@dataclass(frozen=True, slots=True)
class MatrixSource:
    """A matrix of the source.

    Attributes
    ----------
    name
        Its place in the converted store, such as ``"X"``.
    read
        Returns rows as CSR or as a dense array.
    announce
        Asks a store for the bytes of rows, which will be read soon; None for a source that lies in none.
    """

    name: str
    read: Callable[[NDArray[np.int64]], Any]
    announce: Callable[[NDArray[np.int64]], object] | None = None

    @classmethod
    def of_x(cls, name: str, cells: CellCollection) -> "MatrixSource":
        """Return the matrix X of a collection."""
        announce = partial(cells.announce, names=["X"]) if cells.is_remote else None
        return cls(name, lambda rows: cells.read_matrix(rows)[0], announce)


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a pass over a matrix.

    Attributes
    ----------
    kind, n_columns
        ``"CSR"`` or ``"dense"``, and its width.
    range
        The range of values.
    lengths
        Stored values of each row of the source, shape ``(n_source_rows,)``; 0 for rows that do not take part.
    """

    kind: str
    n_columns: int
    range: ValueRange
    lengths: NDArray[np.int32]

    def pointers(self, order: RowOrder) -> NDArray[np.int64]:
        """Return the row pointers of the rows in another order, shape ``(n_rows + 1,)``."""
        pointers = np.zeros(order.n_rows + 1, np.int64)
        for start in range(0, order.n_rows, 1 << 20):
            stop = min(start + (1 << 20), order.n_rows)
            pointers[start + 1 : stop + 1] = self.lengths[order.rows(start, stop)]
        np.cumsum(pointers, out=pointers)
        return pointers


def scanned(
    source: MatrixSource,
    order: RowOrder,
    n_source_rows: int,
    dtype: DType | None,
    advance: Callable[[int], None],
) -> Scan:
    """Read a matrix once, for the lengths of its rows and the range of its values.

    Of a dense matrix no more is read once its values are known to stay as they are.

    Raises
    ------
    ArgumentValueError
        If ``dtype`` is given and does not hold all values.
    """
    rows = order.ascending
    first = source.read(rows[: min(_FIRST_ROWS, rows.size)])
    kind = "CSR" if scipy.sparse.issparse(first) else "dense"
    scan = Scan(
        kind, first.shape[1], ValueRange(first.dtype), np.zeros(n_source_rows if kind == "CSR" else 0, np.int32)
    )
    for window, read in read_ahead(source.read, _windows(rows, first), source.announce):
        values = read.data if kind == "CSR" else read
        scan.range.add(values)
        if dtype is not None:
            exactly(source.name, values, dtype)
        if kind == "CSR":
            scan.lengths[window] = np.diff(read.indptr)
        elif dtype is None and not scan.range.are_counts:
            break
        advance(window.size)
    return scan


def _windows(rows: NDArray[np.int64], first: MatrixRows) -> Iterator[NDArray[np.int64]]:
    """Split rows into windows of about equal size in bytes, judged by the first one."""
    n_bytes = first.nbytes if isinstance(first, np.ndarray) else first.data.nbytes + first.indices.nbytes
    step = int(np.clip(_WINDOW_BYTES * first.shape[0] // max(n_bytes, 1), 1, 1 << 17))
    return (rows[start : start + step] for start in range(0, rows.size, step))
