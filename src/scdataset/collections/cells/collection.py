"""CellCollection: cells of one file or many, read by the engine."""

from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import NDArray

from scdataset.collections.cells.columns import Column, joined
from scdataset.collections.multiindexable import MultiIndexable, row_index
from scdataset.engine.columns import ChosenColumns
from scdataset.engine.matrix import DenseMatrix, Matrix
from scdataset.engine.slabs import SlabPool
from scdataset.engine.threads import Threads
from scdataset.engine.transposed import TransposedMatrix
from scdataset.errors import ArgumentValueError, CollectionError

__all__ = ["CellCollection", "CellFile"]


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

    def array(self, name: str) -> Matrix:
        """Return a dense array of obsm."""
        ...

    def close(self) -> None:
        """Close what is open; the next read opens it again."""
        ...


class CellCollection:
    """Cells on disk, read by row in any order; made by `open_collection`.

    Attributes
    ----------
    shape
        Number of cells and of genes.
    files
        Paths, in the order of the rows.
    """

    reads_ahead = True
    """Reading touches no Python object of the user's, so that it may run in a background thread."""

    def __init__(
        self, files: Sequence[CellFile], obs: Sequence[str], obsm: Sequence[str], dtype: Any, num_threads: int | None
    ) -> None:
        _check_names(obs, obsm)
        self._files = list(files)
        self._firsts = np.cumsum([0, *(file.n_obs for file in files)])
        self._columns = {name: joined(name, [file.column(name) for file in files], self.files) for name in obs}
        self._arrays = {name: [file.array(name) for file in files] for name in obsm}
        for name, matrices in {"X": [file.matrix for file in files], **self._arrays}.items():
            _check_alike(name, matrices, self.files)
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._threads = Threads(num_threads)
        self._slabs = SlabPool()
        self.shape = (int(self._firsts[-1]), files[0].matrix.shape[1])

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
        """The genes, as the first file has them."""
        return self._files[0].var

    @property
    def var_names(self) -> pd.Index:
        """Names of the genes."""
        return self.var.index

    @property
    def obs(self) -> pd.DataFrame:
        """The columns of obs that were asked for, labels as categories, shape ``(n_obs, n_columns)``."""
        columns = {name: column.to_pandas() for name, column in self._columns.items()}
        return pd.DataFrame(columns, index=pd.RangeIndex(self.n_obs))

    @property
    def categories(self) -> dict[str, NDArray[Any]]:
        """What the codes of each column of labels stand for."""
        return {name: c.categories for name, c in self._columns.items() if c.categories is not None}

    def __len__(self) -> int:
        return self.n_obs

    def __repr__(self) -> str:
        extra = "".join(
            f", {kind}={list(names)}" for kind, names in (("obs", self._columns), ("obsm", self._arrays)) if names
        )
        n_files = f"{len(self._files)} file{'s' if len(self._files) > 1 else ''}"
        kind = _kind(self._files[0].matrix)
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
        X = self._matrix_rows([file.matrix for file in self._files], rows)  # noqa: N806 the field's name
        values = {name: column.codes[rows] for name, column in self._columns.items()}
        arrays = {name: self._matrix_rows(matrices, rows) for name, matrices in self._arrays.items()}
        return MultiIndexable(
            {"X": X if self._dtype is None else X.astype(self._dtype, copy=False), **values, **arrays}
        )

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that these cells will be read soon."""
        for number, places in self._by_file(rows):
            self._files[number].matrix.announce(rows[places] - self._firsts[number])

    def share_threads(self, processes: int) -> None:
        """Use one of so many shares of the cores: the DataLoader workers of one machine read together."""
        self._threads.share_among(processes)

    def fingerprint(self) -> str:
        """Return shape and files."""
        return f"cells:{self.shape}:{self.files}"

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

    def _by_file(self, rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
        """Return the number of each file that has rows, and the places of those among ``rows``."""
        if len(self._files) == 1:
            return [(0, np.arange(rows.size))]
        owner = np.searchsorted(self._firsts, rows, side="right") - 1
        return [(int(number), np.flatnonzero(owner == number)) for number in np.unique(owner)]

    def _matrix_rows(self, matrices: Sequence[Matrix], rows: NDArray[np.int64]) -> Any:
        if len(matrices) == 1:
            return matrices[0].read(rows, self._slabs, self._threads)
        parts = self._by_file(rows) or [(0, np.arange(0))]
        read = [matrices[n].read(rows[places] - self._firsts[n], self._slabs, self._threads) for n, places in parts]
        # The same type whichever files a fetch happens to touch.
        dtype = np.result_type(*(matrix.dtype for matrix in matrices))
        if len(read) == 1:
            return read[0].astype(dtype, copy=False)
        stack = scipy.sparse.vstack(read, format="csr") if scipy.sparse.issparse(read[0]) else np.concatenate(read)
        order = np.argsort(np.concatenate([places for _, places in parts]), kind="stable")
        return stack[order].astype(dtype, copy=False)


def _kind(matrix: Matrix) -> str:
    stored = matrix.matrix if isinstance(matrix, ChosenColumns) else matrix
    return "dense" if isinstance(stored, DenseMatrix | TransposedMatrix) else "CSR"


def _check_names(obs: Sequence[str], obsm: Sequence[str]) -> None:
    """Raise unless every part of a batch has a name of its own."""
    names = ["X", *obs, *obsm]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"obs={list(obs)} and obsm={list(obsm)} have {repeated} more than once; X is the name of the matrix."
        raise ArgumentValueError(message)


def _check_alike(name: str, matrices: Sequence[Matrix], paths: Sequence[str]) -> None:
    """Raise unless rows of all files can go into one matrix."""
    kinds = [(_kind(matrix), matrix.shape[1]) for matrix in matrices]
    for (kind, width), path in zip(kinds, paths, strict=True):
        if (kind, width) != kinds[0]:
            message = (
                f"{name} is {kinds[0][0]} with {kinds[0][1]} columns in {paths[0]}, and {kind} with {width} in {path}. "
                "Give files that store it alike, or open them apart."
            )
            raise CollectionError(message)
