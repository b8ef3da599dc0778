"""The formats of files and folders that hold cells: how to tell them apart, and how to open each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from scdataset._arguments import nearest
from scdataset._packages import needing
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.h5ad import H5adFile
from scdataset.cells.formats.loom import LoomFile
from scdataset.cells.formats.mtx import MtxFile
from scdataset.cells.formats.mudata import is_mudata, modalities_of
from scdataset.cells.formats.probe import Probe, is_remote_store
from scdataset.cells.formats.read_errors import naming
from scdataset.cells.formats.tenx import TenxFile
from scdataset.cells.formats.unknown import description
from scdataset.engine.bytes.folders import is_file, is_folder, within
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.containers.matrix_market import is_matrix_market
from scdataset.engine.containers.zip_members import names_in
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError

__all__ = ["Format", "Options", "format_of", "is_scdl", "is_zarr", "open_file"]


@dataclass(frozen=True, slots=True)
class Options:
    """Options for opening a file; see `open_collection`.

    Attributes
    ----------
    ids_as_columns
        Of Arrow and Parquet: True to open one without a ``gene_table``, to look into it; its columns are the ids
        themselves, and have no names.
    """

    layer: Any = None
    genome: str | None = None
    feature_types: Sequence[str] | None = None
    modality: str | Sequence[str] | None = None
    gene_table: object = None
    gene_lists: Sequence[str] | None = None
    unknown_genes: str | None = None
    ids_as_columns: Literal[True] | None = None

    def given(self) -> dict[str, Any]:
        """Return those that are not left out."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


@dataclass(frozen=True, slots=True)
class Format:
    """A format of files or folders.

    Attributes
    ----------
    name
        Its name in messages.
    fits
        Whether a path is of this format, by its content; asked in the order of the formats.
    open
        The function that opens one.
    options
        Names of the options it knows.
    remote
        Whether it is read from object stores.
    """

    name: str
    fits: Callable[[Probe], bool]
    open: Callable[[Probe, Options], CellFile]
    options: tuple[str, ...]
    remote: bool = False


def format_of(probe: Probe) -> Format:
    """Return the format of a file, or of a folder that is one.

    Raises
    ------
    CollectionError
        If it is of none.
    """
    with naming(probe.path):
        return _format_of(probe)


def open_file(probe: Probe, options: Options) -> CellFile:
    """Open one file of any format.

    Raises
    ------
    ArgumentValueError
        If an option is given that does not go with its format.
    CollectionError
        If it is of none.
    """
    try:
        with naming(probe.path):
            opened = _open(probe, options)
    except BaseException:
        probe.close()
        raise
    probe.hand_over()
    return opened


def _open(probe: Probe, options: Options) -> CellFile:
    path, format_ = probe.path, _format_of(probe)
    if is_url(path) and not format_.remote:
        those = [other.name for other in _FORMATS if other.remote]
        message = f"{path} is {format_.name}, which is read from disks alone; copy it to one. From stores: {those}."
        raise CollectionError(message)
    for name, value in options.given().items():
        if name not in format_.options:
            those = [other.name for other in _FORMATS if name in other.options]
            message = f"{path} is {format_.name}, for which {name}={value!r} has to be left out; it is for {those}."
            raise ArgumentValueError(message)
    return format_.open(probe, options)


def _format_of(probe: Probe) -> Format:
    for format_ in _FORMATS:
        if format_.fits(probe):
            return format_
    known = None if is_url(probe.path) else description(probe.path)
    is_a = f": it is {known}" if known else ""
    message = f"{probe.path} is of no known format{is_a}. Give one of {[format_.name for format_ in _FORMATS]}."
    raise CollectionError(message)


def is_zarr(path: str) -> bool:
    """Return whether a folder or a zip file is a zarr store."""
    if is_url(path) and is_remote_store(path):
        return path.rstrip("/").endswith(".zarr") or not is_scdl(path)
    if is_folder(path):
        return any(is_file(within(path, mark)) for mark in ("zarr.json", ".zgroup"))
    return path.endswith(".zip") and is_file(path) and _is_zarr_zip(open_bytes(path))


def _is_zarr_zip(source: ByteSource) -> bool:
    """Return whether a zip file holds a store, or is too damaged to tell."""
    try:
        return any(mark in ("zarr.json", ".zgroup") for mark in names_in(source))
    except DamagedFileError:
        return source.read(0, 2) == b"PK"


def _by_path(fits: Callable[[str], bool]) -> Callable[[Probe], bool]:
    return lambda probe: fits(probe.path)


def _holds(content: str) -> Callable[[Probe], bool]:
    return lambda probe: probe.content == content


def _holds_modalities(probe: Probe) -> bool:
    return probe.content == "MuData" or (is_zarr(probe.path) and is_mudata(probe))


def _mtx_file(probe: Probe, options: Options) -> CellFile:
    return MtxFile(probe.path, feature_types=options.feature_types)


def _h5ad_file(probe: Probe, options: Options) -> CellFile:
    return H5adFile(probe.path, options.layer, opened=probe.hdf5)


def _tenx_file(probe: Probe, options: Options) -> CellFile:
    genome, feature_types = options.genome, options.feature_types
    return TenxFile(probe.path, options.layer, genome=genome, feature_types=feature_types, file=probe.hdf5)


def _loom_file(probe: Probe, options: Options) -> CellFile:
    return LoomFile(probe.path, options.layer, file=probe.hdf5)


def _mudata_file(probe: Probe, options: Options) -> CellFile:
    there = modalities_of(probe)
    if options.modality not in there:
        message = f"{probe.path} has no modality {options.modality!r}; it has {there}{nearest(options.modality, there)}"
        raise ArgumentValueError(message)
    group = f"mod/{options.modality}/"
    if is_zarr(probe.path):
        return _zarr_file(probe, options, group)
    return H5adFile(probe.path, options.layer, group=group, opened=probe.hdf5)


def _zarr_file(probe: Probe, options: Options, group: str = "") -> CellFile:
    with needing(f"{probe.path}, a zarr store,", "zarr", "numcodecs", "anndata>=0.12"):
        from scdataset.cells.formats.zarr import ZarrFile  # noqa: PLC0415 an optional package
    return ZarrFile(probe.path, options.layer, group=group, opened=probe.store)


def is_scdl(path: str) -> bool:
    """Return whether a folder is of SCDL."""
    return all(is_file(within(path, name)) for name in SCDL_FILES)


def _is_cellstream(probe: Probe) -> bool:
    return probe.start.startswith(b"SHPK")


def _cellstream_file(probe: Probe, options: Options) -> CellFile:  # noqa: ARG001 it has none
    with needing(f"{probe.path}, an archive of cellstream,", "cellstream"):
        from scdataset.cells.formats.cellstream import CellstreamFile  # noqa: PLC0415 an optional package
    return CellstreamFile(probe.path)


def _scdl_file(probe: Probe, options: Options) -> CellFile:  # noqa: ARG001 it has none
    with needing(f"{probe.path}, an SCDL folder,", "pyarrow"):
        from scdataset.cells.formats.scdl import ScdlFile  # noqa: PLC0415 an optional package
    return ScdlFile(probe.path)


def _is_arrow(probe: Probe) -> bool:
    return probe.start.startswith(_ARROW)


def _is_text(probe: Probe) -> bool:
    is_called_so = probe.path.endswith((".mtx", ".mtx.gz"))
    return probe.source is not None and (is_called_so or not is_url(probe.path)) and is_matrix_market(probe.source)


def _gene_list_file(probe: Probe, options: Options) -> CellFile:
    path = probe.path
    with needing(f"{path}, a file of Arrow or Parquet,", "pyarrow"):
        from scdataset.cells.formats.gene_lists import GeneListFile, GeneTable  # noqa: PLC0415 an optional package
    if options.gene_table is None and not options.ids_as_columns:
        message = f"{path} has genes by number: give gene_table, a dict of names, the path of a table, or their number."
        raise ArgumentValueError(message)
    if options.unknown_genes not in (None, "drop"):
        message = f'unknown_genes={options.unknown_genes!r}; give None to refuse them, or "drop" to leave them out.'
        raise ArgumentValueError(message)
    lists = options.gene_lists or ("genes", "expressions")
    genes = None if options.ids_as_columns else GeneTable.from_source(options.gene_table)
    return GeneListFile(path, genes, lists, drop=options.unknown_genes == "drop")


_ARROW = (b"ARROW1", b"PAR1", b"\xff\xff\xff\xff")
"""First bytes of files of Arrow, of Parquet, and of streams of Arrow."""

SCDL_FILES = ("data.npy", "col_ptr.npy", "row_ptr.npy", "metadata.json")
"""Files of an SCDL folder."""

_OF_LISTS = ("gene_table", "gene_lists", "unknown_genes", "ids_as_columns")

_FORMATS = (
    Format("cellstream", _is_cellstream, _cellstream_file, ()),  # before HDF5, which it holds a file of, without values
    Format("MuData", _holds_modalities, _mudata_file, ("layer", "modality"), remote=True),
    Format("AnnData in zarr", _by_path(is_zarr), _zarr_file, ("layer",), remote=True),
    Format("10x .h5", _holds("10x"), _tenx_file, ("layer", "genome", "feature_types"), remote=True),
    Format("loom", _holds("loom"), _loom_file, ("layer",), remote=True),
    Format("h5ad", _holds("h5ad"), _h5ad_file, ("layer",), remote=True),
    Format("Arrow or Parquet", _is_arrow, _gene_list_file, _OF_LISTS, remote=True),
    Format("SCDL", _by_path(is_scdl), _scdl_file, (), remote=True),
    Format("matrix.mtx", _is_text, _mtx_file, ("feature_types",), remote=True),
)
"""The formats, asked in this order: the first that fits opens the file."""
