"""The kinds of files and folders that hold cells: how to tell them apart, and what opens each."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scdataset.collections.cells.collection import CellFile
from scdataset.collections.cells.h5ad import H5adFile
from scdataset.collections.cells.loom import LoomFile
from scdataset.collections.cells.mtx import MtxFile
from scdataset.collections.cells.mudata import is_mudata, modalities_of
from scdataset.collections.cells.reading import reading
from scdataset.collections.cells.source import Source
from scdataset.collections.cells.tenx import TenxFile
from scdataset.engine.storage.matrix_market import is_matrix_market
from scdataset.errors import ArgumentValueError, CollectionError, MissingDependencyError

__all__ = ["Kind", "Options", "kind_of", "open_source", "sources_in"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a file may be asked for; see `open_collection`."""

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
        What messages call it.
    fits
        Whether a source is of this kind, by what is in it; asked in the order of the kinds.
    opened
        What opens one.
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
    message = f"{source.path} is of no known kind; give one of {[kind.name for kind in _KINDS]}."
    raise CollectionError(message)


def sources_in(folder: str) -> list[str]:
    """Return the files and stores that a folder stands for: itself, or those in it, in the order of their names.

    Raises
    ------
    ArgumentValueError
        If there are none, or some of several kinds, which are counted.
    """
    datasets = _numbered(folder) or _hugging_face_files(folder)
    if datasets or _is_store(folder):
        return datasets or [folder]
    inside = {kind: found for kind, fits in _NAMES.items() if (found := _entries(folder, fits))}
    if len(inside) != 1:
        counts = {kind: len(found) for kind, found in inside.items()}
        message = (
            f"source={folder!r} is a folder with {counts or 'none'} of {list(_NAMES)}; give one with files of one of "
            "these kinds, or a pattern or list of the files."
        )
        raise ArgumentValueError(message)
    [found] = inside.values()
    twice = [path for path in found if f"{path}.gz" in found]
    if twice:
        message = f"source={folder!r} has {twice[0]!r} both gzipped and not; give the files as a list."
        raise ArgumentValueError(message)
    return [path for one in found for path in (sources_in(one) if Path(one).is_dir() else [one])]


def _entries(folder: str, fits: Callable[[Path], bool]) -> list[str]:
    return sorted(str(entry) for entry in Path(folder).iterdir() if fits(entry))


def _numbered(folder: str) -> list[str]:
    """Return the stores in a folder that names them dataset_0, dataset_1, ..., in the order of their numbers."""
    matches = [(re.fullmatch(r"dataset_(\d+)", entry.name), str(entry)) for entry in Path(folder).iterdir()]
    return [path for _, path in sorted((int(match[1]), path) for match, path in matches if match) if _is_zarr(path)]


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda entry: entry.name.endswith(endings)


def _is_zarr(path: str) -> bool:
    if Path(path).is_dir():
        return any((Path(path) / mark).is_file() for mark in ("zarr.json", ".zgroup"))
    return path.endswith(".zip")


def _is_store(folder: str) -> bool:
    """Return whether a folder is one source, and not one of several."""
    return _is_zarr(folder) or _is_scdl(folder)


def _by_path(fits: Callable[[str], bool]) -> Callable[[Source], bool]:
    return lambda source: fits(source.path)


def _holds(content: str) -> Callable[[Source], bool]:
    return lambda source: source.content == content


def _holds_modalities(source: Source) -> bool:
    return source.content == "MuData" or (_is_zarr(source.path) and is_mudata(source.path))


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
        message = f"{source.path} has no modality {options.modality!r}; it has {there}."
        raise ArgumentValueError(message)
    group = f"mod/{options.modality}/"
    if _is_zarr(source.path):
        return _zarr_file(source, options, group)
    return H5adFile(source.path, options.layer, group=group, file=source.hdf5)


def _zarr_file(source: Source, options: Options, group: str = "") -> CellFile:
    path = source.path
    try:
        from scdataset.collections.cells.zarr import ZarrFile  # noqa: PLC0415 an optional package
    except ImportError as error:
        message = f"{path} is a zarr store, which takes the package zarr: pip install 'scdataset[zarr]'"
        raise MissingDependencyError(message) from error
    return ZarrFile(path, options.layer, group=group)


def _is_scdl(path: str) -> bool:
    return all((Path(path) / name).is_file() for name in _SCDL)


def _is_cellstream(source: Source) -> bool:
    return source.start.startswith(b"SHPK")


def _cellstream_file(source: Source, options: Options) -> CellFile:  # noqa: ARG001 it has none
    path = source.path
    try:
        from scdataset.collections.cells.cellstream import CellstreamFile  # noqa: PLC0415 an optional package
    except ImportError as error:
        message = f"{path} is an archive of cellstream, which takes that package: pip install cellstream"
        raise MissingDependencyError(message) from error
    return CellstreamFile(path)


def _scdl_file(source: Source, options: Options) -> CellFile:  # noqa: ARG001 it has none
    path = source.path
    try:
        from scdataset.collections.cells.scdl import ScdlFile  # noqa: PLC0415 an optional package
    except ImportError as error:
        message = f"{path} is an SCDL folder, which takes the package pyarrow: pip install 'scdataset[tables]'"
        raise MissingDependencyError(message) from error
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
        message = f"{path} is Arrow or Parquet, which takes the package pyarrow: pip install 'scdataset[tables]'"
        raise MissingDependencyError(message) from error
    if options.gene_table is None:
        message = f"{path} has genes by number: give gene_table, a dict of names, the path of a table, or their number."
        raise ArgumentValueError(message)
    if options.unknown_genes not in (None, "drop"):
        message = f'unknown_genes={options.unknown_genes!r}; give None to refuse them, or "drop" to leave them out.'
        raise ArgumentValueError(message)
    lists = options.gene_lists or ("genes", "expressions")
    return GeneListFile(path, GeneTable.of(options.gene_table), lists, drop=options.unknown_genes == "drop")


def _hugging_face_files(folder: str) -> list[str]:
    """Return the files of a data set that `datasets` saved, in their order; none if the folder is not one."""
    if (Path(folder) / "dataset_dict.json").is_file():
        splits = sorted(entry.name for entry in Path(folder).iterdir() if entry.is_dir())
        message = f"source={folder!r} holds the splits {splits}; give the folder of one, or a list of several."
        raise ArgumentValueError(message)
    state = Path(folder) / "state.json"
    if not state.is_file():
        return []
    with reading(str(state), "the list of files"):
        saved = json.loads(state.read_text(encoding="utf-8"))
        if saved.get("_indices_data_files"):
            message = (
                f"{folder} holds a selection of rows; save it as rows: dataset.flatten_indices().save_to_disk(...)."
            )
            raise CollectionError(message)
        return [str(Path(folder) / one["filename"]) for one in saved["_data_files"]]


_ARROW = (b"ARROW1", b"PAR1", b"\xff\xff\xff\xff")
"""How files of Arrow, of Parquet, and streams of Arrow begin."""

_SCDL = ("data.npy", "col_ptr.npy", "row_ptr.npy", "metadata.json")

_NAMES: dict[str, Callable[[Path], bool]] = {
    ".h5ad": _ends(".h5ad"),
    ".zarr": _ends(".zarr"),
    ".zarr.zip": _ends(".zarr.zip"),
    ".h5": _ends(".h5"),
    ".h5mu": _ends(".h5mu"),
    ".loom": _ends(".loom"),
    "matrix.mtx": _ends("matrix.mtx", "matrix.mtx.gz"),
    ".shad": _ends(".shad", ".csad"),
    ".arrow": lambda entry: entry.name.endswith(".arrow") and not entry.name.startswith("cache-"),
    ".parquet": _ends(".parquet"),
    "SCDL": lambda entry: _is_scdl(str(entry)),
    "folders of matrix.mtx": lambda entry: entry.is_dir() and bool(_entries(str(entry), _NAMES["matrix.mtx"])),
}
"""What entries of a folder are called that are files or stores, by the name of their kind."""

_KINDS = (
    Kind("cellstream", _is_cellstream, _cellstream_file, ()),  # before HDF5, which it holds a file of, without values
    Kind("MuData", _holds_modalities, _mudata_file, ("layer", "modality")),
    Kind("AnnData in zarr", _by_path(_is_zarr), _zarr_file, ("layer",)),
    Kind("10x .h5", _holds("10x"), _tenx_file, ("layer", "genome", "feature_types")),
    Kind("loom", _holds("loom"), _loom_file, ("layer",)),
    Kind("h5ad", _holds("h5ad"), _h5ad_file, ("layer",)),
    Kind("Arrow or Parquet", _is_arrow, _gene_list_file, ("gene_table", "gene_lists", "unknown_genes")),
    Kind("SCDL", _by_path(_is_scdl), _scdl_file, ()),
    Kind("matrix.mtx", _is_text, _mtx_file, ("feature_types",)),
)
"""How to tell the kinds of sources apart, and what opens each; the first that fits."""
