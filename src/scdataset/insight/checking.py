"""Check files of cells: read everything, verify its structure, and report every fault with its place."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial

from scdataset._arguments import optional_names
from scdataset._progress import late_bar
from scdataset._tables import counted
from scdataset.cells.formats.probe import Probe, probing
from scdataset.cells.formats.registry import Format, Options, format_of, open_file
from scdataset.cells.sources import Source, paths_of
from scdataset.engine.bytes.folders import is_file, is_folder
from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.context import ReadContext
from scdataset.errors import (
    ArgumentValueError,
    CollectionError,
    DamagedFileError,
    MissingDependencyError,
    ScDatasetError,
    UnreadableFileError,
)
from scdataset.insight.checked_cells import CellsCheck, nodes_in
from scdataset.insight.checked_matrices import check_matrix
from scdataset.insight.checked_names import note_repeated
from scdataset.insight.findings import Fault, Findings, Report
from scdataset.insight.storage import is_sparse

__all__ = ["Fault", "Report", "check"]

_ENDINGS = (".h5ad", ".h5", ".h5mu", ".loom", ".zarr", ".zarr.zip", ".arrow", ".parquet", ".shad", ".mtx", ".mtx.gz")
"""Endings that name a format; a file that has one and is of no format is damaged."""

_BY_NODES = ("h5ad", "AnnData in zarr", "MuData", "10x .h5", "loom")


def check(
    paths: Source | Sequence[Source],
    *,
    genome: str | None = None,
    feature_types: Sequence[str] | None = None,
    gene_table: object = None,
    gene_lists: Sequence[str] | None = None,
    unknown_genes: str | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> Report:
    """Read files of cells whole, and report every fault: damaged or missing chunks, lengths, row pointers, numbers.

    Checked are: checksums and lengths of all chunks, and that each can be decoded; that row pointers rise from 0 to the
    number of elements; that column numbers are within the matrix, and none is twice in a row; values that are NaN or
    infinite; the lengths of obs, var, obsm, layers and all else that AnnData aligns; codes of categories; that every
    other array can be read, and has an encoding that AnnData defines. Repeated names of cells and genes are remarks.
    Plain bytes without a checksum that changed into other plausible numbers cannot be detected.

    Parameters
    ----------
    paths
        A path, a pattern, a folder, or a list of these, as for `open_collection`.
    genome, feature_types, gene_table, gene_lists, unknown_genes
        Keyword only. As for `open_collection`, for the files whose format takes them. Ids of genes are looked up if
        there is a ``gene_table``.
    storage_options
        Keyword only. How the stores of URLs are reached, as for `open_collection`.

    Returns
    -------
    Report
        The faults of all files, each with its place; those of one file do not end the check of it or of others.

    Raises
    ------
    ArgumentValueError
        If there is no such file, or it may not be read.
    CollectionError
        If a file is of no known format, and has no name of one.

    Examples
    --------
    >>> report = check("heart.h5ad")  # doctest: +SKIP
    >>> report.ok, [fault.place for fault in report.faults]  # doctest: +SKIP
    (False, ['X/indices'])
    """
    lists, types = optional_names("gene_lists", gene_lists), optional_names("feature_types", feature_types)
    options = Options(None, genome, types, None, gene_table, lists, unknown_genes)
    with using_options(storage_options):
        return _checked(paths_of(paths), options)


def _checked(files: Sequence[str], options: Options) -> Report:
    faults, notes, n_bytes = [], [], 0
    context = ReadContext()
    with late_bar(f"Checking {counted(len(files), 'file')}", 1000 * len(files)) as advance:
        for path in files:
            progress = _Progress(advance, 1000)
            found = Findings(path, progress)
            _check_file(found, progress, context, options)
            progress.finish()
            faults += found.faults
            notes += found.notes
            n_bytes += found.n_bytes
    return Report(tuple(files), tuple(faults), tuple(notes), n_bytes)


class _Progress:
    """Turns bytes of a file that were checked into steps of a bar.

    Parameters
    ----------
    advance
        Moves the bar.
    steps
        Steps for the file.
    """

    def __init__(self, advance: Callable[[int], None], steps: int) -> None:
        self.total = 0
        self._advance = advance
        self._left = self._steps = steps
        self._done = 0

    def __call__(self, n_bytes: int) -> None:
        self._done += n_bytes
        reached = self._steps * self._done // max(self.total, self._done, 1)
        self._move(reached - (self._steps - self._left))

    def finish(self) -> None:
        """Move the bar to the end of the file."""
        self._move(self._left)

    def _move(self, steps: int) -> None:
        steps = min(max(steps, 0), self._left)
        self._left -= steps
        self._advance(steps)


def _check_file(found: Findings, progress: _Progress, context: ReadContext, options: Options) -> None:
    path = found.path
    try:
        with probing(path) as probe:
            there = format_of(probe)
            format_ = there.name
            if format_ in _BY_NODES:
                progress.total = _bytes_in(probe)
                _check_nodes(probe, format_, found, context)
            _check_opening(probe, there, found, context, options)
    except (UnreadableFileError, MissingDependencyError):
        raise
    except CollectionError as error:
        if not path.endswith(_ENDINGS) or is_folder(path):
            raise
        found.add("file", error)
    except DamagedFileError as error:
        if not (is_file(path) or is_folder(path)):  # a pipe or device, and no damaged file
            raise
        found.add("file", error)


def _bytes_in(probe: Probe) -> int:
    ignored = Findings(probe.path, lambda _: None)
    arrays = [one for one in nodes_in(probe.root, ignored) if one.dtype.kind in "iufb"]
    return sum(int(one.stored.size) * one.dtype.itemsize for one in arrays)


def _check_nodes(probe: Probe, format_: str, found: Findings, context: ReadContext) -> None:
    """Check a tree of arrays."""
    root, cells = probe.root, CellsCheck(probe, found, context)
    if format_ in ("h5ad", "AnnData in zarr"):
        cells.anndata(root)
    elif format_ == "MuData":
        for name in root.child("mod").names():
            cells.anndata(root.child(f"mod/{name}"))
    elif format_ == "10x .h5":
        for node in (root.child(name) for name in root.names()):
            if is_sparse(node):
                cells.sparse(node)
    cells.the_rest(root)


def _check_opening(probe: Probe, there: Format, found: Findings, context: ReadContext, options: Options) -> None:
    """Open the cells as training does; check the matrix of formats that are no trees, and note new faults."""
    format_ = there.name
    if format_ == "MuData" or (format_ == "10x .h5" and found.faults):
        return
    given = {name: value for name, value in options.given().items() if name in there.options}
    if format_ == "Arrow or Parquet" and options.gene_table is None:
        given["ids_as_columns"] = True
    try:
        with closing(open_file(probe, Options(**given))) as file:
            if format_ not in _BY_NODES or format_ == "loom":
                check_matrix(file.matrix, "X", found, context)
            for name in file.obs_keys:
                _tried(partial(file.column, name), f"obs[{name!r}]", found)
            _tried(lambda: file.var, "var", found)
            if format_ not in ("h5ad", "AnnData in zarr"):
                _tried(lambda: note_repeated([file.var.index.to_numpy()], "var", found), "var", found)
                with suppress(ArgumentValueError):  # cells have no names in some formats
                    note_repeated([file.obs_names.to_numpy()], "obs", found)
    except DamagedFileError as error:
        if not found.faults:
            found.add("file", error)
    except (ArgumentValueError, CollectionError) as error:  # such as no X, or CSC: nothing is wrong with its bytes
        found.note("file", str(error).removeprefix(f"{probe.path} ").removeprefix(f"{probe.path}: "))


def _tried(work: Callable[[], object], place: str, found: Findings) -> None:
    try:
        work()
    except CollectionError as error:  # a column of a kind that is not read
        found.note(place, str(error).removeprefix(f"{found.path}: "))
    except ScDatasetError as error:
        if not found.faults:
            found.add(place, error)
