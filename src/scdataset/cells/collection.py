"""CellCollection: cells of one file or many, read by the engine."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike, NDArray

from scdataset._arguments import flag, optional_names
from scdataset._packages import needing
from scdataset._properties import cached_property
from scdataset._tables import counted, html_table
from scdataset.cells.closing import Closing
from scdataset.cells.columns import Column
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.writing import write_rows
from scdataset.cells.join.genes import Genes, joined_var
from scdataset.cells.join.names import check_unique
from scdataset.cells.join.obs import HasObs, Obs, each_closed, in_order_of_rows, joined_column
from scdataset.cells.join.origin import Origin
from scdataset.cells.opening import Opening
from scdataset.collections.base import ReadsInBackground
from scdataset.collections.multiindexable import MultiIndexable
from scdataset.collections.values import ValueKind, kind_of_values, kinds_joined, sampled_rows
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.buffers import BufferPool
from scdataset.engine.containers.handles import handles_open
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.parts import Matrix, MatrixRows
from scdataset.engine.matrices.remapped import OwnColumns, RemappedColumns
from scdataset.engine.matrices.stack import Stack
from scdataset.engine.matrices.value_types import converted, delivered_type
from scdataset.engine.threads import Threads
from scdataset.errors import ArgumentValueError, CollectionError

if TYPE_CHECKING:
    import anndata

__all__ = ["CellCollection", "Opened"]

TOTALS = "total_counts"
"""Name of the sums of cells in batches, as scanpy calls them."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One file, with the genes and columns that were read when it was opened.

    Attributes
    ----------
    file
        The file.
    genes
        The names by which its genes are matched, shape ``(n_vars,)``; None if they were not read.
    columns
        Columns of obs by name, or the error that says which there are instead.
    arrays
        Arrays of obsm by name.
    cells
        Names of the cells, shape ``(n_obs,)``; None if they were not read.
    gene_ids
        Digests of the columns of var that identify genes, by name, if the genes are plain numbers.
    """

    file: CellFile
    genes: pd.Index | None = None
    columns: dict[str, Column | ArgumentValueError] = field(default_factory=dict)
    arrays: dict[str, Matrix] = field(default_factory=dict)
    cells: pd.Index | None = None
    gene_ids: dict[str, str] = field(default_factory=dict)


class CellCollection(Closing, HasObs, ReadsInBackground):
    """Cells on disk, read by row in any order; made by `open_collection`.

    Attributes
    ----------
    shape
        Number of cells and of genes.
    files
        Paths, in the order of the rows.
    opening
        The call that made it; None for one of several modalities that were opened together.
    """

    opening: Opening | None = None

    def __init__(
        self,
        opened: Sequence[Opened],
        obs: Sequence[str],
        obsm: Sequence[str],
        dtype: DTypeLike | None,
        num_threads: int | None,
        *,
        genes: Genes | None = None,
        missing_obs: str | None = None,
        origin: Origin | None = None,
        row_sums: bool = False,
    ) -> None:
        label = [origin.label] if origin is not None and origin.label is not None else []
        obs = [name for name in obs if name not in label]
        _check_names([*obs, *label], obsm, row_sums=row_sums)
        self._files = [one.file for one in opened]
        self._genes = genes
        self._obs = _obs(opened, obs, fill=missing_obs == "fill", origin=origin)
        self._matrices = {"X": _stack("X", _with_genes(self._files, genes, row_sums=row_sums), self.files)}
        self._matrices |= {name: _stack(name, [one.arrays[name] for one in opened], self.files) for name in obsm}
        self._dtype = None if dtype is None else delivered_type(self._matrices["X"].kind, dtype)
        self._row_sums = row_sums
        self._context = ReadContext(Threads(num_threads), BufferPool(is_of_windows=True))
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

    @property
    def sizes(self) -> list[int]:
        """Number of cells of each file."""
        return self._obs.files[1]

    @cached_property
    def var(self) -> pd.DataFrame:
        """The genes, each with its row of the first file that has it.

        Where files were joined, ``n_files`` is how many of them have the gene. Where genes were matched by a key, that
        is their index, and their names are ``var_names``.
        """
        with handles_open():
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

    def _frames(self) -> Iterator[pd.DataFrame]:
        """Yield var of each file; of many, none stays open."""
        for file in each_closed(self._files):
            yield file.var

    def __len__(self) -> int:
        return self.n_obs

    def __repr__(self) -> str:
        obsm = [name for name in self._matrices if name != "X"]
        extra = "".join(
            f", {kind}={list(names)}" for kind, names in (("obs", self._obs.batch), ("obsm", obsm)) if names
        )
        n_files = counted(len(self._files), "file")
        kind = self._matrices["X"].kind
        sums = ", row_sums=True" if self._row_sums else ""
        return (
            f"CellCollection({counted(self.n_obs, 'cell')} x {counted(self.n_vars, 'gene')}, {kind}, "
            f"{n_files}{extra}{sums})"
        )

    def _repr_html_(self) -> str:
        """Return a short table, which a notebook shows."""
        X, obsm = self._matrices["X"], [name for name in self._matrices if name != "X"]  # noqa: N806 its name in AnnData
        rows = [
            ("cells", f"{self.n_obs:,}"),
            ("genes", f"{self.n_vars:,}"),
            ("X", f"{X.kind}, {self._dtype or X.dtype}"),
            ("obs in batches", ", ".join(self._obs.batch) or "none"),
            *([("obsm in batches", ", ".join(obsm))] if obsm else []),
            ("files", f"{len(self._files):,}, {self.files[0]}" + (", ..." if len(self._files) > 1 else "")),
            ("threads", str(self.num_threads)),
        ]
        return html_table("CellCollection", rows)

    def __getitem__(self, rows: slice | ArrayLike) -> MultiIndexable:
        """Return some cells; ``rows`` is a slice, a list or array of row numbers, or a boolean mask."""
        return self.read(self.rows_of(rows))

    def to_adata(
        self, rows: slice | ArrayLike, *, obs: Sequence[str] | None = None, obsm: Sequence[str] | None = None
    ) -> "anndata.AnnData":
        """Return some cells as an AnnData in memory, to look at with scanpy.

        Parameters
        ----------
        rows
            A slice, a list or array of row numbers or names of cells in any order, or a boolean mask.
        obs
            Columns of obs; None for all, as in `obs_frame`.
        obsm
            Arrays of obsm; None for those that are in batches.

        Returns
        -------
        anndata.AnnData
            Shape ``(n_rows, n_vars)``, with names of cells where the files have them, else row numbers. Labels keep
            all their categories.

        Raises
        ------
        ArgumentValueError
            If there is no such column or array.

        Examples
        --------
        >>> adata = cells.to_adata(cells.where(lambda obs: obs["donor"] == "D3")[:1000])  # doctest: +SKIP
        >>> scanpy.pp.normalize_total(adata)  # doctest: +SKIP
        """
        with needing("CellCollection.to_adata", "anndata"):
            import anndata  # noqa: PLC0415 takes a second to import
        obsm = optional_names("obsm", obsm)
        chosen = self.rows_of(rows)
        matrices = {name: matrix for name, matrix in self._matrices.items() if name == "X" or obsm is None}
        matrices |= {name: self._matrices.get(name) or self._stored(name) for name in obsm or ()}
        read = self._read(matrices, chosen)
        var = self.var.set_axis(self.var_names.astype(str), axis=0)
        frame = self._obs.frame(obs, chosen).set_axis(self._obs.names_or_numbers[chosen].astype(str), axis=0)
        return anndata.AnnData(read.pop("X"), obs=frame, var=var, obsm=read)

    def _stored(self, name: str, group: str = "obsm") -> Stack:
        with handles_open():
            return _stack(name, [file.array(name, group) for file in self._files], self.files)

    def members(self, groups: Sequence[str]) -> dict[str, list[str]]:
        """Return the names in some of ``uns``, ``layers``, ``raw``, ``obsm``, ``obsp``, ``varm`` and ``varp``.

        Of several files there are the names that any of them has.
        """
        found: dict[str, dict[str, None]] = {group: {} for group in groups}
        with handles_open():
            for file, group in ((file, group) for file in each_closed(self._files) for group in groups):
                found[group].update(dict.fromkeys(file.members(group)))
        return {group: list(names) for group, names in found.items()}

    def member(self, group: str, name: str) -> object:
        """Read one of `members` of the first file whole, as anndata does."""
        with handles_open():
            return self._files[0].member(group, name)

    def member_rows(self, group: str, name: str) -> Callable[[NDArray[np.int64]], object]:
        """Return a function that reads rows of one of the `members` of obsm or obsp, in the order asked for.

        Raises
        ------
        CollectionError
            If it cannot be read by rows.
        """
        matrix, key = self._stored(name, group), f"{group}/{name}"
        return lambda rows: self._read({key: matrix}, rows)[key]

    def gene_places(self) -> NDArray[np.int64]:
        """Return where in var of the first file each gene is, -1 if nowhere, shape ``(n_vars,)``."""
        places = np.full(self.n_vars, -1)
        stored = None if self._genes is None else self._genes.tables[0]
        table = np.arange(self.n_vars, dtype=np.int32) if stored is None else stored
        places[table[table >= 0]] = np.flatnonzero(table >= 0)
        return places

    def write_obsm(self, name: str, array: object, *, overwrite: bool = False) -> None:
        """Write an array to obsm of the h5ad files and zarr stores of the collection, to each the rows of its cells.

        All else in a file stays. The array is written under a temporary name and renamed when it is complete. This
        collection stays readable; to others that have a file open, such as another collection, it has changed.

        Parameters
        ----------
        name
            Name in obsm, such as ``"X_emb"``.
        array
            Numbers of shape ``(n_obs, k)``, in the order of the rows; a frame is aligned by its index: names of cells
            or row numbers.
        overwrite
            Whether to replace an array of that name.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If the array is of another shape or type, or there is one of that name and it shall not be replaced;
            nothing is written then.
        CollectionError
            If a file is of another format, or cannot be written to.

        Examples
        --------
        >>> parts = [model(batch["X"]) for batch in scDataset(cells, Streaming(), 1024)]  # doctest: +SKIP
        >>> cells.write_obsm("X_emb", torch.cat(parts).cpu().numpy())  # doctest: +SKIP
        """
        values = in_order_of_rows(array, self._obs) if isinstance(array, pd.Series | pd.DataFrame) else array
        with handles_open():
            write_rows(self._files, name, values, overwrite=flag("overwrite", overwrite))
        if name != "X" and name in self._matrices:
            self._matrices[name] = self._stored(name)

    def _read(
        self, matrices: Mapping[str, Stack], rows: NDArray[np.int64], totals: NDArray[np.float64] | None = None
    ) -> dict[str, MatrixRows]:
        """Return rows of matrices; ``totals`` gets the sums of X over all genes."""
        read: dict[str, MatrixRows] = {}
        with handles_open():
            for name, matrix in matrices.items():
                read[name] = matrix.read(rows, self._context, totals if name == "X" else None)
        if self._dtype is not None:
            read["X"] = converted(read["X"], self._dtype)
        return read

    def read(self, rows: NDArray[np.int64]) -> MultiIndexable:
        """Return cells in the order asked for: ``X``, one array a column of obs, one a key of obsm.

        With ``row_sums`` also ``total_counts``, float64: the sum over all genes of each cell.
        """
        if rows.size and (rows.min() < 0 or rows.max() >= self.shape[0]):
            message = f"Rows from {rows.min()} to {rows.max()} of a collection with {counted(self.n_obs, 'cell')}."
            raise IndexError(message)
        totals = np.empty(rows.size) if self._row_sums else None
        read = self._read(self._matrices, rows, totals)
        values = {name: column.codes[rows] for name, column in self._obs.batch.items()}
        sums = {} if totals is None else {TOTALS: totals}
        return MultiIndexable.from_rows({"X": read.pop("X"), **sums, **values, **read}, rows.size)

    def read_matrix(self, rows: NDArray[np.int64]) -> tuple[MatrixRows, NDArray[np.float64] | None]:
        """Return the values of cells alone, in the order asked for, and with ``row_sums`` their total counts."""
        totals = np.empty(rows.size) if self._row_sums else None
        return self._read({"X": self._matrices["X"]}, rows, totals)["X"], totals

    def read_array(self, name: str, rows: NDArray[np.int64]) -> MatrixRows:
        """Return cells of one of the arrays of obsm that are in batches, in the order asked for."""
        return self._read({name: self._matrices[name]}, rows)[name]

    def value_kind(self, *, seed: int = 0) -> ValueKind:
        """Tell the kind of the values, by a few hundred cells from all over the files.

        Parameters
        ----------
        seed
            Of the choice of cells.

        Returns
        -------
        ValueKind
            Whether they are counts, log-normalised, normalised or scaled, and the evidence.

        Examples
        --------
        >>> print(cells.value_kind())  # doctest: +SKIP
        counts, by 512 cells: 100% of the non-zero values are whole numbers; values go from 0 to 1532; ...
        """
        rows = sampled_rows([file.n_obs for file in self._files], seed)
        matrix = self._read({"X": self._matrices["X"]}, np.concatenate([np.arange(0), *rows]))["X"]
        firsts = np.cumsum([0, *(file.n_obs for file in self._files)])
        owners = [self.files[int(np.searchsorted(firsts, own[0], "right")) - 1] for own in rows]
        bounds = itertools.pairwise(np.cumsum([0, *(own.size for own in rows)]).tolist())
        kinds = {file: kind_of_values(matrix[i:j]).kind for file, (i, j) in zip(owners, bounds, strict=True)}
        return kinds_joined(kind_of_values(matrix), kinds)

    @property
    def is_remote(self) -> bool:
        """Whether some of the matrices in batches lie in an object store."""
        return any(matrix.is_remote for matrix in self._matrices.values())

    def announce(self, rows: NDArray[np.int64], names: Sequence[str] | None = None) -> int:
        """Tell the system that these cells will be read soon, and return the number of requests for them.

        Parameters
        ----------
        rows
            Cells.
        names
            The matrices that will be read, ``"X"`` or arrays of obsm; None for all that are in batches.
        """
        n_requests = 0
        for name in self._matrices if names is None else names:
            n_requests += self._matrices[name].announce(rows)
        return n_requests

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the bytes and chunks that reading these cells would touch; none of them is read."""
        own = ReadCost(result_bytes=rows.size * sum(c.codes.dtype.itemsize for c in self._obs.batch.values()))
        with handles_open():
            return sum((matrix.read_cost(rows) for matrix in self._matrices.values()), own)

    @property
    def num_threads(self) -> int:
        """Threads that read and decode, in this process."""
        return self._context.threads.count

    def share_threads(self, processes: int) -> None:
        """Divide the cores among ``processes`` DataLoader workers of this machine, which read together."""
        self._context.threads.share_among(processes)

    def fingerprint(self) -> str:
        """Return shape and files, each with its size in bytes, 0 for a folder: one written again differs."""
        files = [file.address for file in self._files]
        sizes = [file.n_bytes for file in self._files]
        return f"cells:{self.shape}:{list(zip(files, sizes, strict=True))}"

    def close(self) -> None:
        """Close all files and threads; the next read opens them again. Nothing is waited for that a store may owe."""
        for file in self._files:
            file.close()
        self._context.threads.close(waits=not self.is_remote)

    def __getstate__(self) -> dict[str, object]:
        # The call may hold functions, which cannot be pickled; nothing that is read depends on it.
        return {name: value for name, value in super().__getstate__().items() if name != "opening"}


def _check_names(obs: Sequence[str], obsm: Sequence[str], *, row_sums: bool) -> None:
    """Raise unless every part of a batch has a name of its own."""
    names = ["X", *([TOTALS] if row_sums else []), *obs, *obsm]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = (
            f"obs={list(obs)} and obsm={list(obsm)} have {repeated} more than once; X is the name of the matrix"
            f"{', and ' + TOTALS + ' that of row_sums' if row_sums else ''}."
        )
        raise ArgumentValueError(message)


def _obs(opened: Sequence[Opened], names: Sequence[str], *, fill: bool, origin: Origin | None) -> Obs:
    """Return obs of all files, with the columns of batches that were read when they were opened."""
    files = [one.file for one in opened]
    columns = {name: joined_column(name, [one.columns[name] for one in opened], files, fill=fill) for name in names}
    checked = [one.cells for one in opened if one.cells is not None]
    named = bool(checked) or (origin is not None and origin.index_unique is not None)
    obs = Obs(files, columns, fill=fill, origin=origin, named=named)
    if checked:
        obs.set_names(checked)
        check_unique(obs.names, [file.n_obs for file in files], [file.path for file in files])
    return obs


def _with_genes(files: Sequence[CellFile], genes: Genes | None, *, row_sums: bool) -> list[Matrix]:
    """Return the matrices with the genes of the collection as their columns."""
    matrices = [_summed(file.matrix) if row_sums else file.matrix for file in files]
    if genes is None or genes.alike:
        return matrices
    same = np.arange(len(genes.names), dtype=np.int32)
    return [
        matrix if table is None and matrix.kind == "CSR" else matrix.remap(same if table is None else table, same.size)
        for matrix, table in zip(matrices, genes.tables, strict=True)
    ]


def _summed(matrix: Matrix) -> Matrix:
    """Return a matrix whose sums go over its own columns, and not over others that are stored, such as antibodies."""
    leaves_out = isinstance(matrix, RemappedColumns) or (isinstance(matrix, CsrMatrix) and matrix.drops)
    return OwnColumns(matrix) if leaves_out else matrix


def _stack(name: str, matrices: Sequence[Matrix], paths: Sequence[str]) -> Stack:
    """Return the matrices of all files as one; raise unless they are stored alike."""
    kinds = [(matrix.kind, matrix.shape[1]) for matrix in matrices]
    for (kind, width), path in zip(kinds, paths, strict=True):
        if (kind, width) != kinds[0]:
            message = (
                f"{name} is {kinds[0][0]} with {counted(kinds[0][1], 'column')} in {paths[0]}, and {kind} with "
                f"{width} in {path}. Give files that store it alike, or open them apart."
            )
            raise CollectionError(message)
    return Stack(matrices)
