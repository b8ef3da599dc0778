"""Rows that are lists of gene ids and of values, in Arrow and Parquet files, as Hugging Face datasets have them."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from scdataset._paths import existing
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.cells.columns import ColumnValues
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.parquet_tables import MOST_GENES, parquet_table
from scdataset.cells.formats.read_errors import reading
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.bytes.opening import buffered, open_bytes
from scdataset.engine.containers import arrow
from scdataset.engine.matrices.remapped import NumberedColumns
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError

__all__ = ["GeneListFile", "GeneTable"]


@dataclass(frozen=True, slots=True)
class GeneTable:
    """Which gene each id stands for, in the order of the columns.

    Attributes
    ----------
    ids
        Shape ``(n_genes,)``, int64, each once.
    var
        The genes by name.
    """

    ids: NDArray[np.int64]
    var: pd.DataFrame

    @classmethod
    def from_source(cls, source: object) -> "GeneTable":
        """Make a table of ``gene_table`` as `open_collection` takes it.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If it is nothing of the kind, or an id is there twice.
        """
        if isinstance(source, (str, os.PathLike)):
            path = source if isinstance(source, str) and is_url(source) else existing("gene_table", source)
            return cls.from_source(_by_id(path, _frame(path)))
        if isinstance(source, (int, np.integer)) and not isinstance(source, bool) and source > 0:
            return cls(np.arange(source), pd.DataFrame(index=pd.Index(np.arange(source).astype(str), dtype=object)))
        if isinstance(source, (Mapping, pd.Series)):
            names = dict(source.items())
            return cls._checked(list(names), pd.DataFrame(index=pd.Index(list(names.values()), dtype=object)))
        if isinstance(source, pd.DataFrame) and source.shape[1]:
            first, *_ = source.columns
            return cls._checked(source.index, source.set_index(first))
        message = (
            f"gene_table={source!r} is of type {type(source).__name__}; give a dict or a frame from ids to genes, the "
            "path of a Parquet or csv file that has both, or the number of genes if ids are columns."
        )
        raise ArgumentTypeError(message)

    @classmethod
    def _checked(cls, ids: Collection[object] | pd.Index, var: pd.DataFrame) -> "GeneTable":
        numbers: Array = np.asarray(ids)
        if numbers.dtype.kind not in "iu" or numbers.size == 0:
            message = f"gene_table has ids of type {numbers.dtype}, {list(ids)[:3]}; they have to be integers."
            raise ArgumentTypeError(message)
        found, counts = np.unique(numbers, return_counts=True)
        if found.size < numbers.size:
            message = f"gene_table has ids more than once: {found[counts > 1][:5].tolist()}."
            raise ArgumentValueError(message)
        return cls(numbers.astype(np.int64), var)


def _frame(path: str) -> pd.DataFrame:
    if not path.endswith(".csv"):
        return parquet_table(path, MOST_GENES)
    source = open_bytes(path)
    with reading(path, "its table of genes"), buffered(source) as stream:
        return pd.read_csv(stream)


def _by_id(path: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its one column of integers as index."""
    whole = [name for name in frame.columns if frame[name].dtype.kind in "iu"]
    if len(whole) != 1:
        message = (
            f"gene_table={path!r} has {counted(len(whole), 'column')} of integers, {whole}; it has to have one, of "
            "the ids."
        )
        raise ArgumentValueError(message)
    return frame.set_index(whole[0])


class GeneListFile(CellFile):
    """One Arrow or Parquet file.

    Parameters
    ----------
    path
        The file. Uncompressed Arrow is read in place; anything else is copied to the cache once.
    genes
        Which gene an id stands for; None for columns that are the ids, without names.
    lists
        Names of the column of ids and of the column of values.
    drop
        Whether values of other ids are left out; else they are refused when they are read.
    """

    _kind = "a file of gene lists"

    def __init__(self, path: str, genes: GeneTable | None, lists: Sequence[str], *, drop: bool) -> None:
        self.path = path
        self._plain = arrow.plain_arrow(path)
        names = self._schema().names
        if len(lists) != 2 or not set(lists) <= set(names):
            message = f"{path} has no gene_lists={tuple(lists)}; give the names of two of its columns, {names}."
            raise ArgumentValueError(message)
        stored = arrow.csr_matrix(self._plain, lists[0], lists[1])
        self.n_obs = stored.shape[0]
        self._var = pd.DataFrame() if genes is None else genes.var
        self.matrix = stored if genes is None else NumberedColumns(stored, path, genes.ids, drop)

    @property
    def n_bytes(self) -> int:
        """Size of the file, or of the copy of an object."""
        return self._plain.size if is_url(self.path) else super().n_bytes

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the table."""
        return self._var

    @property
    def obs_keys(self) -> list[str]:
        """Columns that have one value a row."""
        return [field.name for field in self._schema() if not pa.types.is_nested(field.type)]

    def _obs_values(self, name: str) -> ColumnValues:
        with arrow.arrow_batches(self._plain) as (batches, _):
            column = pa.chunked_array([arrow.checked_column(self.path, name, batch) for batch in batches])
            with reading(self.path, name):
                if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                    column = column.dictionary_encode()
                values: ColumnValues = column.to_pandas().array
                return values

    def _schema(self) -> pa.Schema:
        with arrow.arrow_batches(self._plain) as (batches, _):
            if not batches:
                message = f"{self.path} has no rows."
                raise CollectionError(message)
            return batches[0].schema
