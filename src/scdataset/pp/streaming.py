"""Passes over cells: windows of rows in file order, read while the one before is worked on, here or on a cluster."""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import flag, nearest
from scdataset._clusters import cluster_of, in_order
from scdataset._progress import late_bar
from scdataset._tables import counted
from scdataset._types import Array, RowData
from scdataset.cells import Opening, open_again
from scdataset.collections import as_collection
from scdataset.collections.multiindexable import row_index
from scdataset.engine.bytes.connections import giving_up
from scdataset.engine.threads import background_thread
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.kernels import sum_rows
from scdataset.transforms.matrices import Csr, Matrix, is_sparse

if TYPE_CHECKING:
    import anndata

__all__ = ["Cells", "Pass", "Window"]

T = TypeVar("T")

_TARGET_BYTES = 64 << 20
"""Size of a window, about."""

_FIRST_ROWS = 512
"""Rows of the first window, from which the size of the others is chosen."""

_PART_ROWS = 1 << 15
"""Rows that a process of a cluster gets at a time, at least."""

_MAX_PARTS = 256
"""Parts of a pass at most: the totals of each are sent, and those of many groups are large.

Parts depend on the number of rows alone, so that results do not depend on the number of processes.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """Some cells.

    Attributes
    ----------
    places
        Which of the chosen rows they are, in ascending order of rows.
    matrix
        Their values, CSR of floats, shape ``(n_rows, n_vars)``.
    given_totals
        Their total counts over all genes, shape ``(n_rows,)``, if the collection was opened with ``row_sums``.
    """

    places: slice
    matrix: Csr
    given_totals: NDArray[np.float64] | None

    @property
    def totals(self) -> NDArray[np.float64]:
        """Total counts over all genes, or the sums of the values that there are, shape ``(n_rows,)``."""
        return sum_rows(self.matrix.data, self.matrix.indptr) if self.given_totals is None else self.given_totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(ABC, Generic[T]):
    """One pass over cells, which makes totals of genes, and values of cells.

    Attributes
    ----------
    given
        A number for each cell, shape ``(n_rows,)``, if the pass needs one.
    """

    given: Array | None = None

    @abstractmethod
    def begin(self, n_rows: int) -> T:
        """Return the totals of no cells, with room for the values of so many."""

    @abstractmethod
    def add(self, totals: T, window: Window) -> None:
        """Add a window of cells, which come after all that were added before."""

    @abstractmethod
    def join(self, totals: T, part: T, places: slice) -> None:
        """Add the totals of cells that come after all that were added before, and put their values at ``places``."""


class Cells:
    """Cells to stream over, or some rows of them.

    Parameters
    ----------
    source
        A collection of one modality, as `open_collection` returns it, or AnnData in memory or backed.
    indices
        Rows, each once; None for all.

    Attributes
    ----------
    read
        Returns the values of rows, sparse or dense, and their total counts, or None.
    announce
        Asks a store for the bytes of rows, which will be read soon; None for cells that lie in none.
    """

    def __init__(self, source: Any, indices: ArrayLike | None = None) -> None:
        collection: Any = as_collection(source)
        self.read = _reader(collection)
        self.announce: Callable[[NDArray[np.int64]], object] | None = None
        if hasattr(collection, "read_matrix") and collection.is_remote:
            self.announce = partial(collection.announce, names=["X"])
        self._reads_ahead = bool(getattr(collection, "reads_ahead", False))
        self._source = source
        self.var_names = pd.Index(source.var_names)
        self.given = _rows(source, indices, len(collection))
        self.rows = np.sort(self.given)
        if not self.rows.size:
            message = f"There are no cells: {len(collection)} in the collection, and indices={reprlib.repr(indices)}."
            raise ArgumentValueError(message)

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return len(self.var_names)

    @property
    def index(self) -> pd.Index:
        """Row numbers, or names of cells where the collection goes by them, in the order of ``given``."""
        obs = self._source.obs
        whole: pd.Index = obs.index
        return whole[self.given]

    def as_given(self, values: Array) -> Array:
        """Return values of ascending rows in the order in which the rows were given."""
        ordered: Array = values[np.searchsorted(self.rows, self.given)]
        return ordered

    def groups(self, key: str | None) -> tuple[NDArray[np.int64], list[object]]:
        """Return the group of each of the ascending rows by a column of obs, and the labels of the groups, sorted.

        Raises
        ------
        ArgumentValueError
            If there is no such column, or it lacks values.
        """
        if key is None:
            return np.zeros(self.rows.size, np.int64), [None]
        column = self._column(key).iloc[self.rows]
        codes, labels = pd.factorize(column, sort=True)
        n_missing = int((codes < 0).sum())
        if n_missing:
            message = (
                f"batch_key={key!r} is missing for {n_missing:,} of {counted(self.rows.size, 'cell')}; leave them out: "
                f"indices=cells.where(lambda obs: obs[{key!r}].notna())."
            )
            raise ArgumentValueError(message)
        return codes.astype(np.int64), list(labels)

    def _column(self, key: str) -> "pd.Series":
        frame_of = getattr(self._source, "obs_frame", None)
        known = list(self._source.obs_keys())
        if not isinstance(key, str) or key not in known:
            message = f"batch_key={key!r} is not a column of obs, which has {known}{nearest(key, known)}"
            raise ArgumentValueError(message)
        column: pd.Series = (self._source.obs if frame_of is None else frame_of([key]))[key]
        return column

    def over(self, description: str, work: Pass[T], *, progress: bool = True, engine: object = None) -> T:
        """Return the totals of a pass over all rows, in ascending order.

        Parameters
        ----------
        description
            Of the bar.
        work
            The pass.
        progress
            Whether to show it if it takes more than a second.
        engine
            The cluster that makes the pass, as `cluster_of` takes it; None for this process.
        """
        cluster = cluster_of(engine)
        totals = work.begin(self.rows.size)
        with _bar(description, self.rows.size, shown=flag("progress", progress)) as advance:
            if cluster is None:
                self.add_to(totals, work, advance)
                return totals
            size = max(_PART_ROWS, -(-self.rows.size // _MAX_PARTS))
            places = [slice(first, min(first + size, self.rows.size)) for first in range(0, self.rows.size, size)]
            given = work.given
            parts = [(self.rows[one], None if given is None else given[one]) for one in places]
            here = _PartOf(self._opening(), replace(work, given=None))
            for one, part in zip(places, in_order(cluster.each(here, parts)), strict=True):
                work.join(totals, part, one)
                advance(one.stop - one.start)
        return totals

    def _opening(self) -> Opening:
        opening: Opening | None = getattr(self._source, "opening", None)
        if opening is None:
            message = (
                f"cells is of type {type(self._source).__qualname__}, which other processes cannot open; give what "
                "open_collection returns, of one modality (modality=...), or leave out engine."
            )
            raise ArgumentTypeError(message)
        return opening

    def add_to(self, totals: T, work: Pass[T], advance: Callable[[int], None]) -> None:
        """Add windows of all rows; the next is read meanwhile, if the collection reads in the background.

        A store is asked for the bytes of the one after that.
        """
        with background_thread("pp") as ahead, giving_up() as wanted:
            begin = ahead.submit if self._reads_ahead else _at_once
            start, stop = 0, min(_FIRST_ROWS, self.rows.size)
            reading = begin(wanted(self.read), self.rows[start:stop])
            while start < self.rows.size:
                matrix, sums = reading.result()
                rows = stop - start
                size = _rows_in_window(matrix, rows)
                following = min(stop + size, self.rows.size)
                if following > stop:
                    reading = begin(
                        wanted(self._read), self.rows[stop:following], self.rows[following : following + size]
                    )
                work.add(totals, Window(slice(start, stop), _as_csr(matrix), sums))
                advance(rows)
                start, stop = stop, following

    def _read(self, rows: NDArray[np.int64], later: NDArray[np.int64]) -> tuple[Matrix, NDArray[np.float64] | None]:
        """Return what ``read`` does for rows, once those to be read after them are announced."""
        if self.announce is not None:
            with suppress(Exception):  # reading raises the same, in its turn
                self.announce(rows)
                self.announce(later)
        return self.read(rows)


@dataclass(frozen=True, slots=True)
class _PartOf:
    """A part of a pass, in another process.

    Attributes
    ----------
    opening
        Opens the cells.
    work
        The pass, without the numbers that are given for cells.
    """

    opening: Opening
    work: Pass[Any]

    def __call__(self, part: tuple[NDArray[np.int64], Array | None]) -> Any:
        rows, given = part
        cells = Cells(open_again(self.opening), rows)
        totals = self.work.begin(rows.size)
        cells.add_to(totals, replace(self.work, given=given), lambda _: None)
        return totals


def _bar(description: str, total: int, *, shown: bool) -> AbstractContextManager[Callable[[int], None]]:
    return late_bar(description, total) if shown else nullcontext(lambda _: None)


class _Done:
    """The result of a call, with the interface of a future."""

    def __init__(self, value: object) -> None:
        self._value = value

    def result(self) -> Any:
        return self._value


def _at_once(read: Callable[..., RowData], *rows: NDArray[np.int64]) -> "_Done":
    return _Done(read(*rows))


def _reader(collection: Any) -> Callable[[NDArray[np.int64]], tuple[Matrix, NDArray[np.float64] | None]]:
    """Return the function that reads the values of rows, and their total counts where it has those."""
    if hasattr(collection, "modalities"):
        message = (
            f"These are {counted(len(collection.modalities), 'modality')}; give one, cells.modalities[name] with name "
            f"one of {list(collection.modalities)}."
        )
        raise ArgumentTypeError(message)
    if hasattr(collection, "read_matrix"):
        read: Callable[[NDArray[np.int64]], tuple[Matrix, NDArray[np.float64] | None]] = collection.read_matrix
        return read
    if hasattr(getattr(collection, "source", None), "var_names"):
        return lambda rows: (_matrix_of(collection.read(rows)), None)
    given = type(getattr(collection, "source", collection)).__qualname__
    message = (
        f"cells is of type {given}; give what open_collection returns, or AnnData, which have genes and columns of obs."
    )
    raise ArgumentTypeError(message)


def _matrix_of(adata: "anndata.AnnData") -> Matrix:
    if adata.X is None:
        message = "The cells have no X; open_collection(path, layer=...) takes another matrix of a file."
        raise ArgumentValueError(message)
    matrix: Matrix = adata.X
    return matrix


def _rows(source: object, indices: ArrayLike | None, n_rows: int) -> NDArray[np.int64]:
    if indices is None:
        return np.arange(n_rows)
    if callable(indices):
        message = "indices is a function; give the rows that it chooses: indices=cells.where(function)."
        raise ArgumentTypeError(message)
    chosen = source.rows_of(indices) if hasattr(source, "rows_of") else row_index(indices, n_rows)
    rows: NDArray[np.int64] = np.arange(chosen.start, chosen.stop) if isinstance(chosen, slice) else chosen
    if np.unique(rows).size != rows.size:
        message = (
            f"indices has {counted(rows.size, 'row')}, {rows.size - np.unique(rows).size:,} of them repeated; give "
            "each once."
        )
        raise ArgumentValueError(message)
    return rows


def _rows_in_window(matrix: Matrix, n_rows: int) -> int:
    """Return how many rows like these make a window of the right size."""
    n_bytes = matrix.data.nbytes + matrix.indices.nbytes if is_sparse(matrix) else matrix.nbytes
    return int(np.clip(n_rows * _TARGET_BYTES // max(n_bytes, 1), 1, 1 << 16))


def _as_csr(matrix: Matrix) -> Csr:
    """Return CSR with floats of 4 or 8 bytes."""
    rows = matrix.tocsr() if is_sparse(matrix) else scipy.sparse.csr_matrix(np.asarray(matrix))
    if rows.data.dtype.kind == "f" and rows.data.dtype.itemsize in (4, 8):
        return rows
    return rows.astype(np.float64)
