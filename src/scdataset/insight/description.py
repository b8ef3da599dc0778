"""Describe files of cells: their content, how it is stored, and reasons for slow reading."""

import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from scdataset._progress import late_bar
from scdataset._tables import counted
from scdataset._types import Array, Json
from scdataset.cells.columns import Column
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.frames import column_names, column_values, n_rows
from scdataset.cells.formats.mudata import modalities_of
from scdataset.cells.formats.probe import Probe, probing
from scdataset.cells.formats.registry import Options, format_of, open_file
from scdataset.cells.object_sources import size_of_url
from scdataset.cells.sources import Source, paths_of
from scdataset.collections.values import ValueKind, kind_of_values
from scdataset.engine.bytes.folders import bytes_in
from scdataset.engine.bytes.object_store import is_url, using_options
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.parts import MatrixRows
from scdataset.errors import ScDatasetError
from scdataset.insight.advice import Advice, advice_on
from scdataset.insight.storage import StoredMatrix, arrays_of_cells, matrices_in, other_matrices

__all__ = ["CellsDescription", "ColumnDescription", "FileDescription", "describe"]

_RUNS, _RUN = 16, 16
"""Rows that are read to tell the kind of values: so many runs, of so many neighbours, from all over the file."""

_EXAMPLES = 3

_MOST_GENES = 1 << 31
"""More columns than this are ids of genes, whose number only a table would tell."""

_IN_TREES = ("h5ad", "AnnData in zarr", "MuData", "10x .h5", "loom")
"""Formats whose arrays h5py and zarr know."""


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """A column of obs.

    Attributes
    ----------
    name
        Its name.
    kind
        ``"labels"``, ``"numbers"`` or ``"booleans"``; ``"unreadable"``, with the reason as the one example.
    n_categories
        Number of labels; None for numbers.
    n_missing
        Number of cells without a value.
    examples
        The most frequent labels; or the smallest and the largest number.
    """

    name: str
    kind: str
    n_categories: int | None
    n_missing: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellsDescription:
    """The cells of a file, or of one modality of a file.

    Attributes
    ----------
    modality
        Name of the modality, or of the genome of a 10x file with several; None where there is one.
    n_obs, n_vars
        Number of cells and of genes; 0 where they cannot be read, and 0 genes where a table of genes has to be given.
    matrices
        X, raw and layers.
    obsm
        Arrays of obsm.
    columns
        Columns of obs.
    values
        Kind of the values of each matrix that could be read, by its name, from a few hundred cells.
    density
        Share of the values of each of them that is not zero.
    problem
        Why the matrix cannot be opened as it is; None if it can.
    """

    modality: str | None
    n_obs: int
    n_vars: int
    matrices: tuple[StoredMatrix, ...]
    obsm: tuple[StoredMatrix, ...]
    columns: tuple[ColumnDescription, ...]
    values: dict[str, ValueKind]
    density: dict[str, float]
    problem: str | None = None

    def kind_of(self, name: str) -> str | None:
        """Return the kind of the values of a matrix, if it is known."""
        return self.values[name].kind if name in self.values else None


@dataclass(frozen=True, slots=True)
class FileDescription:
    """One file or store of cells.

    Attributes
    ----------
    path
        The file or folder.
    format
        Name of the format.
    n_bytes
        Bytes on disk.
    cells
        Its cells; one for each modality of MuData, and for each genome of an old 10x file.
    advice
        Reasons for slow reading and options that are needed, each with the remedy.
    """

    path: str
    format: str
    n_bytes: int
    cells: tuple[CellsDescription, ...]
    advice: tuple[Advice, ...]

    def as_dict(self) -> Json:
        """Return all fields as JSON-serialisable values."""
        return asdict(self)


def describe(
    source: Source | Sequence[Source], *, storage_options: Mapping[str, object] | None = None
) -> list[FileDescription]:
    """Describe files of cells in any format of `open_collection`; a few hundred rows of values are read.

    Parameters
    ----------
    source
        A path, a pattern, a folder, or a list of these, as for `open_collection`.
    storage_options
        Keyword only. How the stores of URLs are reached, as for `open_collection`.

    Raises
    ------
    ArgumentValueError
        If there is no such file; as `open_collection`.
    CollectionError
        If a file is of an unknown format.
    DamagedFileError
        If a file contradicts itself.

    Examples
    --------
    >>> [file] = describe("heart.h5ad")  # doctest: +SKIP
    >>> file.cells[0].n_obs, [column.name for column in file.cells[0].columns]  # doctest: +SKIP
    """
    with using_options(storage_options):
        return [_described(path) for path in paths_of(source)]


def _described(path: str) -> FileDescription:
    with probing(path) as probe:
        format_ = format_of(probe).name
        cells = tuple(_each_cells(probe, format_))
    described = FileDescription(path, format_, bytes_of(path), cells, ())
    return replace(described, advice=tuple(advice_on(described)))


def bytes_of(path: str) -> int:
    """Return the bytes of a file or object, or of all in a folder or store."""
    if is_url(path):
        return size_of_url(path)
    return bytes_in(path)


def _each_cells(probe: Probe, format_: str) -> Iterator[CellsDescription]:
    if format_ == "MuData":
        for name in modalities_of(probe):
            stored = matrices_in(probe.root, f"mod/{name}/"), arrays_of_cells(probe.root, f"mod/{name}/")
            yield _cells(probe.path, name, {"modality": name}, *stored)
        return
    stored = _stored(probe, format_)
    genomes = [one for one in stored[0] if one.name.startswith("genome ")]
    for one in genomes:
        yield _cells(probe.path, one.place, {"genome": one.place}, [replace(one, name="X")], [])
    if not genomes:
        options = {"ids_as_columns": True} if format_ == "Arrow or Parquet" else {}
        yield _with_obs(probe, _cells(probe.path, None, options, *stored))


def _with_obs(probe: Probe, cells: CellsDescription) -> CellsDescription:
    """Return cells with their obs read from the file where no matrix could be opened, which reads it otherwise."""
    obs = probe.root.find("obs") if cells.problem is not None and not cells.columns and probe.hdf5 is not None else None
    if obs is None:
        return cells
    columns = tuple(_column(lambda name: Column.from_values(column_values(obs, name)), n) for n in column_names(obs))
    return replace(cells, n_obs=n_rows(obs), columns=columns)


def _stored(probe: Probe, format_: str) -> tuple[list[StoredMatrix], list[StoredMatrix]]:
    """Return the matrices, and the arrays of obsm, where a library knows how they are stored."""
    if format_ not in _IN_TREES:
        return [], []
    if format_ in ("10x .h5", "loom"):
        return other_matrices(probe.root, format_), []
    return matrices_in(probe.root), arrays_of_cells(probe.root)


def _cells(
    path: str, modality: str | None, options: dict[str, Any], stored: list[StoredMatrix], obsm: list[StoredMatrix]
) -> CellsDescription:
    """Describe cells: each matrix is opened for a sample of its values, and the first that can be for obs."""
    values: dict[str, ValueKind] = {}
    density: dict[str, float] = {}
    columns: tuple[ColumnDescription, ...] = ()
    problem, shape = None, stored[0].shape if stored else None
    for name, layer in _layers(stored):
        try:
            with probing(path) as probe, closing(open_file(probe, Options(**options, layer=layer))) as file:
                columns = columns or _columns(file)
                shape = shape or file.matrix.shape
                sample = _sample(file)
        except ScDatasetError as error:
            problem = problem or str(error)
            continue
        values[name], density[name] = kind_of_values(sample), _density(sample)
        stored = stored or [_unstored(file, density[name])]
    n_obs, n_vars = shape or (0, 0)
    n_vars = 0 if n_vars >= _MOST_GENES else n_vars
    return CellsDescription(modality, n_obs, n_vars, tuple(stored), tuple(obsm), columns, values, density, problem)


def _layers(stored: Sequence[StoredMatrix]) -> list[tuple[str, str | None]]:
    """Return the name of each matrix, and the layer that it is for `open_collection`; X if none is known."""
    names: dict[str, str | None] = {"X": None, "raw.X": "raw/X"}
    names |= {one.name: one.place.rpartition("/")[2] for one in stored if one.name.startswith("layers[")}
    return [(one.name, names[one.name]) for one in stored] or [("X", None)]


def _unstored(file: CellFile, density: float) -> StoredMatrix:
    """Describe a matrix of a format that neither h5py nor zarr reads."""
    matrix = file.matrix
    n_stored = round(matrix.shape[0] * matrix.shape[1] * (density if matrix.kind == "CSR" else 1))
    return StoredMatrix("X", matrix.kind, matrix.shape, str(matrix.dtype), None, n_stored, None, None, 1, (), "")


def _sample(file: CellFile) -> MatrixRows:
    """Read a few hundred rows: runs of neighbours, so that few chunks are decoded."""
    n_rows = file.matrix.shape[0]
    firsts = np.linspace(0, max(n_rows - _RUN, 0), _RUNS).astype(np.int64)
    rows = np.unique(np.minimum(firsts[:, None] + np.arange(_RUN), max(n_rows - 1, 0)))
    return file.matrix.read(rows[:n_rows], ReadContext())


def _density(sample: MatrixRows) -> float:
    n_rows, n_columns = sample.shape
    n_nonzero = int(np.count_nonzero(sample if isinstance(sample, np.ndarray) else sample.data))
    return n_nonzero / max(int(n_rows) * int(n_columns), 1)


def _columns(file: CellFile) -> tuple[ColumnDescription, ...]:
    names = file.obs_keys
    with late_bar(f"Reading {counted(len(names), 'column')} of obs", len(names)) as advance:
        return tuple(_advanced(advance, _column(file.column, name)) for name in names)


def _advanced(advance: Callable[[int], None], column: ColumnDescription) -> ColumnDescription:
    advance(1)
    return column


def _column(read: Callable[[str], Column], name: str) -> ColumnDescription:
    try:
        column = read(name)
    except ScDatasetError as error:  # a column of a kind that is not read, among others that are
        return ColumnDescription(name, "unreadable", None, 0, (str(error).partition(": ")[2],))
    return _of_labels(name, column) if column.categories is not None else _of_numbers(name, column.codes)


def _of_labels(name: str, column: Column) -> ColumnDescription:
    codes, labels = column.codes, np.asarray(column.categories)
    counts = np.bincount(codes[codes >= 0], minlength=labels.size)
    frequent = np.argsort(-counts, kind="stable")[:_EXAMPLES]
    examples = tuple(str(labels[code]) for code in frequent if counts[code])
    return ColumnDescription(name, "labels", int(labels.size), int(np.count_nonzero(codes < 0)), examples)


def _of_numbers(name: str, values: Array) -> ColumnDescription:
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    there = values[~missing]
    ends = (there.min(), there.max()) if there.size else ()
    kind = "booleans" if values.dtype.kind == "b" else "numbers"
    examples = tuple(reprlib.repr(end.item()) if kind == "booleans" else f"{end:.6g}" for end in ends)
    return ColumnDescription(name, kind, None, int(np.count_nonzero(missing)), tuple(dict.fromkeys(examples)))
