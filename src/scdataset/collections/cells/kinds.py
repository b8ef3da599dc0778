"""The kinds of files and folders that hold cells: how to tell them apart, and how to open each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scdataset._arguments import nearest
from scdataset._packages import missing
from scdataset.collections.cells.collection import CellFile
from scdataset.collections.cells.h5ad import H5adFile
from scdataset.collections.cells.loom import LoomFile
from scdataset.collections.cells.mtx import MtxFile
from scdataset.collections.cells.mudata import is_mudata, modalities_of
from scdataset.collections.cells.reading import naming
from scdataset.collections.cells.source import Source
from scdataset.collections.cells.tenx import TenxFile
from scdataset.collections.cells.unknown import description
from scdataset.engine.files import OpenFile
from scdataset.engine.storage.matrix_market import is_matrix_market
from scdataset.engine.storage.zip_members import names_in
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError

__all__ = ["Kind", "Options", "is_scdl", "is_zarr", "kind_of", "open_source"]


@dataclass(frozen=True, slots=True)
class Options:
    """Options for opening a file; see `open_collection`."""

    layer: Any = None
    genome: str | None = None
    feature_types: Sequence[str] | None = None
    modality: str | Sequence[str] | None = None
    gene_table: Any = None
    gene_lists: Sequence[str] | None = None
    unknown_genes: str | None = None

    def given(self) -> dict[str, Any]:
        """Return those that are not left out."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of files or folders.

    Attributes
    ----------
    name
        Its name in messages.
    fits
        Whether a source is of this kind, by its content; asked in the order of the kinds.
    opened
        The function that opens one.
    options
        Names of the options it knows.
    """

    name: str
    fits: Callable[[Source], bool]
    opened: Callable[[Source, Options], CellFile]
    options: tuple[str, ...]


def kind_of(path: str) -> Kind:
    """Return the kind of a file, or of a folder that is one.

    Raises
    ------
    CollectionError
        If it is of none.
    """
    source = Source(path)
    try:
        with naming(path):
            return _kind(source)
    finally:
        source.close()


def open_source(path: str, options: Options) -> CellFile:
    """Open one file of whatever kind it is.

    Raises
    ------
    ArgumentValueError
        If an option is given that does not go with its kind.
    CollectionError
        If it is of none.
    """
    source = Source(path)
    try:
        with naming(path):
            return _opened(source, options)
    except BaseException:
        source.close()
        raise


def _opened(source: Source, options: Options) -> CellFile:
    path, kind = source.path, _kind(source)
    for name, value in options.given().items():
        if name not in kind.options:
            those = [other.name for other in _KINDS if name in other.options]
            message = f"{path} is {kind.name}, for which {name}={value!r} has to be left out; it is for {those}."
            raise ArgumentValueError(message)
    return kind.opened(source, options)


def _kind(source: Source) -> Kind:
    for kind in _KINDS:
        if kind.fits(source):
            return kind
    known = description(source.path)
    is_a = f": it is {known}" if known else ""
    message = f"{source.path} is of no known kind{is_a}. Give one of {[kind.name for kind in _KINDS]}."
    raise CollectionError(message)


def is_zarr(path: str) -> bool:
    """Return whether a folder or a zip file is a zarr store."""
    if Path(path).is_dir():
        return any((Path(path) / mark).is_file() for mark in ("zarr.json", ".zgroup"))
    return path.endswith(".zip") and _is_zarr_zip(path)


def _is_zarr_zip(path: str) -> bool:
    """Return whether a zip file holds a store, or is too damaged to tell."""
    try:
        return any(mark in ("zarr.json", ".zgroup") for mark in names_in(path))
    except DamagedFileError:
        return OpenFile(path).read(0, 2) == b"PK"


def _by_path(fits: Callable[[str], bool]) -> Callable[[Source], bool]:
    return lambda source: fits(source.path)


def _holds(content: str) -> Callable[[Source], bool]:
    return lambda source: source.content == content


def _holds_modalities(source: Source) -> bool:
    return source.content == "MuData" or (is_zarr(source.path) and is_mudata(source.path))


def _mtx_file(source: Source, options: Options) -> CellFile:
    return MtxFile(source.path, feature_types=options.feature_types)


def _h5ad_file(source: Source, options: Options) -> CellFile:
    return H5adFile(source.path, options.layer, file=source.hdf5)


def _tenx_file(source: Source, options: Options) -> CellFile:
    source.close()
    return TenxFile(source.path, options.layer, genome=options.genome, feature_types=options.feature_types)


def _loom_file(source: Source, options: Options) -> CellFile:
    source.close()
    return LoomFile(source.path, options.layer)


def _mudata_file(source: Source, options: Options) -> CellFile:
    there = modalities_of(source.path)
    if options.modality not in there:
        message = (
            f"{source.path} has no modality {options.modality!r}; it has {there}{nearest(options.modality, there)}"
        )
        raise ArgumentValueError(message)
    group = f"mod/{options.modality}/"
    if is_zarr(source.path):
        return _zarr_file(source, options, group)
    return H5adFile(source.path, options.layer, group=group, file=source.hdf5)


def _zarr_file(source: Source, options: Options, group: str = "") -> CellFile:
    path = source.path
    try:
        from scdataset.collections.cells.zarr import ZarrFile  # noqa: PLC0415 an optional package
    except ImportError as error:
        needed_for = f"{path}, a zarr store,"
        raise missing(needed_for, "zarr", "numcodecs", "anndata>=0.12") from error
    return ZarrFile(path, options.layer, group=group)


def is_scdl(path: str) -> bool:
    """Return whether a folder is of SCDL."""
    return all((Path(path) / name).is_file() for name in _SCDL)


def _is_cellstream(source: Source) -> bool:
    return source.start.startswith(b"SHPK")


def _cellstream_file(source: Source, options: Options) -> CellFile:  # noqa: ARG001 it has none
    path = source.path
    try:
        from scdataset.collections.cells.cellstream import CellstreamFile  # noqa: PLC0415 an optional package
    except ImportError as error:
        needed_for = f"{path}, an archive of cellstream,"
        raise missing(needed_for, "cellstream") from error
    return CellstreamFile(path)


def _scdl_file(source: Source, options: Options) -> CellFile:  # noqa: ARG001 it has none
    path = source.path
    try:
        from scdataset.collections.cells.scdl import ScdlFile  # noqa: PLC0415 an optional package
    except ImportError as error:
        needed_for = f"{path}, an SCDL folder,"
        raise missing(needed_for, "pyarrow") from error
    return ScdlFile(path)


def _is_arrow(source: Source) -> bool:
    return source.start.startswith(_ARROW)


def _is_text(source: Source) -> bool:
    return source.is_file and is_matrix_market(source.path)


def _gene_list_file(source: Source, options: Options) -> CellFile:
    path = source.path
    try:
        from scdataset.collections.cells.gene_lists import GeneListFile, GeneTable  # noqa: PLC0415 an optional package
    except ImportError as error:
        needed_for = f"{path}, a file of Arrow or Parquet,"
        raise missing(needed_for, "pyarrow") from error
    if options.gene_table is None:
        message = f"{path} has genes by number: give gene_table, a dict of names, the path of a table, or their number."
        raise ArgumentValueError(message)
    if options.unknown_genes not in (None, "drop"):
        message = f'unknown_genes={options.unknown_genes!r}; give None to refuse them, or "drop" to leave them out.'
        raise ArgumentValueError(message)
    lists = options.gene_lists or ("genes", "expressions")
    return GeneListFile(path, GeneTable.of(options.gene_table), lists, drop=options.unknown_genes == "drop")


_ARROW = (b"ARROW1", b"PAR1", b"\xff\xff\xff\xff")
"""How files of Arrow, of Parquet, and streams of Arrow begin."""

_SCDL = ("data.npy", "col_ptr.npy", "row_ptr.npy", "metadata.json")

_KINDS = (
    Kind("cellstream", _is_cellstream, _cellstream_file, ()),  # before HDF5, which it holds a file of, without values
    Kind("MuData", _holds_modalities, _mudata_file, ("layer", "modality")),
    Kind("AnnData in zarr", _by_path(is_zarr), _zarr_file, ("layer",)),
    Kind("10x .h5", _holds("10x"), _tenx_file, ("layer", "genome", "feature_types")),
    Kind("loom", _holds("loom"), _loom_file, ("layer",)),
    Kind("h5ad", _holds("h5ad"), _h5ad_file, ("layer",)),
    Kind("Arrow or Parquet", _is_arrow, _gene_list_file, ("gene_table", "gene_lists", "unknown_genes")),
    Kind("SCDL", _by_path(is_scdl), _scdl_file, ()),
    Kind("matrix.mtx", _is_text, _mtx_file, ("feature_types",)),
)
"""How to tell the kinds of sources apart, and what opens each; the first that fits."""
