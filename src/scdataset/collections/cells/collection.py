"""CellCollection: cells of one file or many, read by the engine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset.collections.base import ReadsInBackground
from scdataset.collections.cells.columns import Column, joined
from scdataset.collections.cells.genes import Genes, joined_var
from scdataset.collections.cells.names import unique_cells
from scdataset.collections.multiindexable import MultiIndexable, row_index
from scdataset.engine.matrix import Matrix, delivered_type
from scdataset.engine.slabs import SlabPool
from scdataset.engine.stack import Stack
from scdataset.engine.threads import Threads
from scdataset.errors import ArgumentValueError, CollectionError

__all__ = ["MANY", "CellCollection", "CellFile", "Opened"]

MANY = 64
"""Files that stay open in the library that knows their format; of more, each is closed when it was asked something."""


class CellFile(Protocol):
    """One file of cells, whatever its format."""

    path: str
    n_obs: int
    matrix: Matrix

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""
        ...

    def column(self, name: str) -> Column:
        """Read a column of obs."""
        ...

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        ...

    def array(self, name: str) -> Matrix:
        """Return a dense array of obsm."""
        ...

    def close(self) -> None:
        """Close what is open; the next read opens it again."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """One file, and what was read of it when it was opened.

    Attributes
    ----------
    file
        The file.
    genes
        What its genes are matched by, shape ``(n_vars,)``; None if they were not read.
    columns
        Columns of obs by name, or the error that says which there are instead.
    arrays
        Arrays of obsm by name.
    cells
        Names of the cells, shape ``(n_obs,)``; None if they were not read.
    """

    file: CellFile
    genes: pd.Index | None = None
    columns: dict[str, Column | ArgumentValueError] = field(default_factory=dict)
    arrays: dict[str, Matrix] = field(default_factory=dict)
    cells: pd.Index | None = None


class CellCollection(ReadsInBackground):
    """Cells on disk, read by row in any order; made by `open_collection`.

    Attributes
    ----------
    shape
        Number of cells and of genes.
    files
        Paths, in the order of the rows.
    """

    def __init__(
        self,
        opened: Sequence[Opened],
        obs: Sequence[str],
        obsm: Sequence[str],
        dtype: Any,
        num_threads: int | None,
        *,
        genes: Genes | None = None,
        missing_obs: str | None = None,
    ) -> None:
        _check_names(obs, obsm)
        self._files = [one.file for one in opened]
        self._genes = genes
        self._cells = unique_cells([one.cells for one in opened], self.files)
        self._columns = {name: _column(name, opened, fill=missing_obs == "fill") for name in obs}
        self._matrices = {"X": _stack("X", _with_genes(self._files, genes), self.files)}
        self._matrices |= {name: _stack(name, [one.arrays[name] for one in opened], self.files) for name in obsm}
        self._dtype = None if dtype is None else delivered_type(self._matrices["X"].kind, dtype)
        self._threads = Threads(num_threads)
        self._slabs = SlabPool()
        self.shape = self._matrices["X"].shape

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return self.shape[0]

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return self.shape[1]

    @property
    def files(self) -> list[str]:
        """Paths, in the order of the rows."""
        return [file.path for file in self._files]

    @cached_property
    def var(self) -> pd.DataFrame:
        """The genes, each as the first file that has it has it.

        Where files were joined, ``n_files`` is how many of them have the gene. Where genes were matched by a key, that
        is their index, and their names are ``var_names``.
        """
        if self._genes is None:
            return self._files[0].var
        return joined_var(self._genes, self._frames())

    @property
    def var_names(self) -> pd.Index:
        """Names of the genes."""
        return self.var.index if self._genes is None else self._genes.names

    @property
    def gene_presence(self) -> pd.DataFrame:
        """Which gene is in which file, shape ``(n_vars, n_files)``, bool."""
        there = np.ones((self.n_vars, len(self._files)), bool) if self._genes is None else self._genes.presence()
        return pd.DataFrame(there, index=self.var_names, columns=self.files)

    @property
    def obs(self) -> pd.DataFrame:
        """The columns of obs that were asked for, labels as categories, shape ``(n_obs, n_columns)``.

        Its index are the names of cells if they were asked to be unique, and numbers otherwise.
        """
        columns = {name: column.to_pandas() for name, column in self._columns.items()}
        return pd.DataFrame(columns, index=pd.RangeIndex(self.n_obs) if self._cells is None else self._cells)

    @property
    def categories(self) -> dict[str, NDArray[Any]]:
        """What the codes of each column of labels stand for."""
        return {name: c.categories for name, c in self._columns.items() if c.categories is not None}

    def where(self, condition: Callable[[pd.DataFrame], Any] | Any) -> NDArray[np.int64]:
        """Return the rows that fulfil a condition, ascending, for the ``indices`` of a strategy.

        Parameters
        ----------
        condition
            A boolean array of shape ``(n_obs,)``, or a function that makes one of `obs`.

        Raises
        ------
        ArgumentValueError
            If that is of another type or shape.

        Examples
        --------
        ``BlockShuffling(block_size=16, indices=cells.where(lambda obs: obs["tissue"] == "heart"))``
        """
        mask = np.asarray(condition(self.obs) if callable(condition) else condition)
        if mask.dtype != np.bool_ or mask.shape != (self.n_obs,):
            message = (
                f"where got {mask.dtype} of shape {mask.shape}; give booleans of shape ({self.n_obs},), one a cell."
            )
            raise ArgumentValueError(message)
        return np.flatnonzero(mask)

    def _frames(self) -> Iterator[pd.DataFrame]:
        """Yield var of each file; of many, none stays open."""
        for file in self._files:
            yield file.var
            if len(self._files) > MANY:
                file.close()

    def __len__(self) -> int:
        return self.n_obs

    def __repr__(self) -> str:
        obsm = [name for name in self._matrices if name != "X"]
        extra = "".join(f", {kind}={list(names)}" for kind, names in (("obs", self._columns), ("obsm", obsm)) if names)
        n_files = f"{len(self._files)} file{'s' if len(self._files) > 1 else ''}"
        kind = self._matrices["X"].kind
        return f"CellCollection({self.n_obs} cells x {self.n_vars} genes, {kind}, {n_files}{extra})"

    def __getitem__(self, rows: Any) -> MultiIndexable:
        """Return some cells; ``rows`` is a slice, a list or array of row numbers, or a boolean mask."""
        wanted = row_index(rows, self.n_obs)
        return self.read(np.arange(wanted.start, wanted.stop) if isinstance(wanted, slice) else wanted)

    def read(self, rows: NDArray[np.int64]) -> MultiIndexable:
        """Return cells in the order asked for: ``X``, one array a column of obs, one a key of obsm."""
        if rows.size and (rows.min() < 0 or rows.max() >= self.n_obs):
            message = f"Rows from {rows.min()} to {rows.max()} of a collection with {self.n_obs} cells."
            raise IndexError(message)
        read = {name: matrix.read(rows, self._slabs, self._threads) for name, matrix in self._matrices.items()}
        if self._dtype is not None:
            read["X"] = read["X"].astype(self._dtype, copy=False)
        values = {name: column.codes[rows] for name, column in self._columns.items()}
        return MultiIndexable({"X": read.pop("X"), **values, **read})

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these cells will be read soon."""
        for matrix in self._matrices.values():
            matrix.announce(rows)

    def share_threads(self, processes: int) -> None:
        """Use one of so many shares of the cores: the DataLoader workers of one machine read together."""
        self._threads.share_among(processes)

    def fingerprint(self) -> str:
        """Return shape and files, each with its size in bytes, 0 for a folder: one written again differs."""
        sizes = [Path(path).stat().st_size if Path(path).is_file() else 0 for path in self.files]
        return f"cells:{self.shape}:{list(zip(self.files, sizes, strict=True))}"

    def close(self) -> None:
        """Close all files and threads; the next read opens them again."""
        for file in self._files:
            file.close()
        self._threads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _check_names(obs: Sequence[str], obsm: Sequence[str]) -> None:
    """Raise unless every part of a batch has a name of its own."""
    names = ["X", *obs, *obsm]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"obs={list(obs)} and obsm={list(obsm)} have {repeated} more than once; X is the name of the matrix."
        raise ArgumentValueError(message)


def _column(name: str, opened: Sequence[Opened], *, fill: bool) -> Column:
    """Return a column of all files, of which some may lack it."""
    read = [one.columns[name] for one in opened]
    refused = [column for column in read if isinstance(column, ArgumentValueError)]
    if len(refused) == len(read):
        raise refused[0]
    columns = [column if isinstance(column, Column) else None for column in read]
    return joined(name, columns, [one.file.path for one in opened], [one.file.n_obs for one in opened], fill=fill)


def _with_genes(files: Sequence[CellFile], genes: Genes | None) -> list[Matrix]:
    """Return the matrices with the genes of the collection as their columns."""
    if genes is None or genes.alike:
        return [file.matrix for file in files]
    same = np.arange(len(genes.names), dtype=np.int32)
    return [
        file.matrix
        if table is None and file.matrix.kind == "CSR"
        else file.matrix.choose(same if table is None else table, same.size)
        for file, table in zip(files, genes.tables, strict=True)
    ]


def _stack(name: str, matrices: Sequence[Matrix], paths: Sequence[str]) -> Stack:
    """Return the matrices of all files as one; raise unless they are stored alike."""
    kinds = [(matrix.kind, matrix.shape[1]) for matrix in matrices]
    for (kind, width), path in zip(kinds, paths, strict=True):
        if (kind, width) != kinds[0]:
            message = (
                f"{name} is {kinds[0][0]} with {kinds[0][1]} columns in {paths[0]}, and {kind} with {width} in {path}. "
                "Give files that store it alike, or open them apart."
            )
            raise CollectionError(message)
    return Stack(matrices)
