"""Blocks of cells as Arrow tables, over the memory that the engine read them into, and matrices over those again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray
from ray.data.extensions import ArrowTensorArray

from scdataset._types import Array
from scdataset.cells import CellCollection
from scdataset.errors import ArgumentValueError
from scdataset.transforms.matrices import is_sparse

__all__ = ["Layout", "to_csr"]

ROW, GENES, VALUES, DENSE, TOTALS = "row", "genes", "expressions", "X", "total_counts"
"""Columns of blocks; lists are called as `open_collection` expects them of Parquet."""

_N_VARS = b"n_vars"
"""Key of the number of genes in the metadata of the column of genes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of blocks.

    Attributes
    ----------
    obs, obsm
        Columns of obs, and arrays of obsm.
    names
        All columns, in their order.
    dense
        Whether X is made dense.
    """

    obs: tuple[str, ...]
    obsm: tuple[str, ...]
    names: tuple[str, ...]
    dense: bool

    @classmethod
    def from_cells(cls, cells: CellCollection, *, dense: bool) -> "Layout":
        """Return the columns of a collection.

        Raises
        ------
        ArgumentValueError
            If two have one name.
        """
        empty = np.arange(0)
        matrix, totals = cells.read_matrix(empty)
        lists = is_sparse(matrix) and not dense
        obs = tuple(cells.obs.columns)
        there = cells.read(empty).keys()
        obsm = tuple(str(name) for name in there if name not in ("X", TOTALS, *obs))
        names = (ROW, *obs, *([] if totals is None else [TOTALS]), *((GENES, VALUES) if lists else (DENSE,)), *obsm)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            message = (
                f"obs={list(obs)} and obsm={list(obsm)} have names that blocks have for other columns: {repeated}; "
                "leave them out."
            )
            raise ArgumentValueError(message)
        return cls(obs, obsm, names, dense)

    def only(self, names: Sequence[str]) -> "Layout":
        """Return the layout of some of the columns."""
        return replace(self, names=tuple(name for name in self.names if name in names))

    def block(self, cells: CellCollection, rows: NDArray[np.int64]) -> pa.Table:
        """Read rows of a collection; of matrices those alone that are wanted."""
        frame = cells.obs
        columns: dict[str, pa.Array | Array] = {ROW: pa.array(rows)}
        columns |= {name: _column(frame[name], rows) for name in self.obs if name in self.names}
        if not {GENES, VALUES, DENSE, TOTALS}.isdisjoint(self.names):
            matrix, totals = cells.read_matrix(rows)
            columns |= {TOTALS: totals} | _matrix_columns(matrix, dense=self.dense)
        columns |= {name: _tensor(cells.read_array(name, rows)) for name in self.obsm if name in self.names}
        fields = [
            pa.field(name, _arrow(columns[name]).type, metadata=self._metadata(name, cells)) for name in self.names
        ]
        return pa.Table.from_arrays([_arrow(columns[name]) for name in self.names], schema=pa.schema(fields))

    def _metadata(self, name: str, cells: CellCollection) -> dict[bytes, bytes] | None:
        return {_N_VARS: str(cells.n_vars).encode()} if name == GENES else None


def _arrow(values: pa.Array | Array) -> pa.Array:
    return pa.array(values) if isinstance(values, np.ndarray) else values


def _column(column: "pd.Series", rows: NDArray[np.int64]) -> pa.Array:
    values = column.array
    if not isinstance(values, pd.Categorical):
        return pa.array(np.asarray(values)[rows])
    codes = values.codes[rows].astype(np.int32, copy=False)
    labels = pa.array(list(values.categories))
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), labels, ordered=bool(values.ordered))


def _matrix_columns(matrix: object, *, dense: bool) -> dict[str, pa.Array]:
    if dense or not is_sparse(matrix):
        return {DENSE: _tensor(matrix)}
    offsets = pa.array(matrix.indptr.astype(np.int64, copy=False))
    lists = {GENES: matrix.indices.astype(np.int32, copy=False), VALUES: matrix.data}
    return {name: pa.LargeListArray.from_arrays(offsets, pa.array(values)) for name, values in lists.items()}


def _tensor(matrix: object) -> ArrowTensorArray:
    values = matrix.toarray() if is_sparse(matrix) else np.asarray(matrix)
    return ArrowTensorArray.from_numpy(values)


def to_csr(batch: Any, n_vars: int | None = None) -> scipy.sparse.csr_matrix:
    """Return the matrix of a batch of `read_cells`.

    Parameters
    ----------
    batch
        A batch in any of Ray's formats. Of ``batch_format="pyarrow"`` the matrix lies over the memory of the batch, if
        that is of one block; others are put together of an array a cell, which takes several times as long.
    n_vars
        Number of genes; None for that in the metadata of an Arrow batch, which functions that make new columns lose.

    Returns
    -------
    scipy.sparse.csr_matrix
        Shape ``(n_rows, n_vars)``.

    Raises
    ------
    ArgumentValueError
        If the batch has no lists of genes and values, or the number of genes is not known.

    Examples
    --------
    >>> def totals(batch):
    ...     return {"row": batch["row"], "total": to_csr(batch).sum(axis=1).A1}
    >>> cells.map_batches(totals, batch_format="pyarrow")  # doctest: +SKIP
    """
    there = batch.column_names if isinstance(batch, pa.Table) else list(batch)
    if GENES not in there or VALUES not in there:
        message = f"The batch has the columns {there}; to_csr takes {GENES!r} and {VALUES!r}, as read_cells makes them."
        raise ArgumentValueError(message)
    width = n_vars if n_vars is not None else _width(batch)
    if isinstance(batch, pa.Table):
        lists = [_one_chunk(batch.column(name)) for name in (GENES, VALUES)]
        offsets = np.asarray(lists[0].offsets)
        genes, values = (one.flatten().to_numpy() for one in lists)
        pointers = offsets - offsets[0]
    else:
        pointers = np.concatenate([[0], np.cumsum([len(one) for one in batch[GENES]], dtype=np.int64)])
        genes, values = _joined(batch[GENES], np.int32), _joined(batch[VALUES], np.float32)
    return scipy.sparse.csr_matrix((values, genes, pointers), shape=(pointers.size - 1, width))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _joined(lists: Iterable[ArrayLike], empty: DTypeLike) -> Array:
    parts = [np.asarray(one) for one in lists]
    return np.concatenate(parts) if parts else np.empty(0, empty)


def _width(batch: object) -> int:
    metadata: Mapping[bytes, bytes] = (batch.schema.field(GENES).metadata or {}) if isinstance(batch, pa.Table) else {}
    if _N_VARS not in metadata:
        message = "The batch does not tell how many genes there are; give n_vars=len(cells.var_names)."
        raise ArgumentValueError(message)
    return int(metadata[_N_VARS])
