"""open_collection: from paths to one collection of cells."""

import glob
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py

from scdataset._arguments import optional_whole
from scdataset.collections.cells.collection import CellCollection, CellFile
from scdataset.collections.cells.h5ad import H5adFile
from scdataset.collections.cells.tenx import TenxFile, is_tenx
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, MissingDependencyError

__all__ = ["open_collection"]

Source = str | os.PathLike[str]


def open_collection(
    source: Source | Iterable[Source],
    *,
    layer: str | None = None,
    obs: Sequence[str] = (),
    obsm: Sequence[str] = (),
    dtype: Any = None,
    num_threads: int | None = None,
) -> CellCollection:
    """Open files of cells as one collection, without reading them.

    Parameters
    ----------
    source
        A path, a list of paths, a glob pattern, or a folder of files of one kind. A file is h5ad, AnnData in a zarr
        store (a folder or a .zarr.zip), or 10x .h5; a folder of ``dataset_0``, ``dataset_1``, ... as annbatch writes it
        is many. Files with the same genes in the same order act as one, in the order given; a folder's and a pattern's
        in the order of their names.
    layer
        None for X, ``"raw"`` for raw/X with its own genes, or the name of a layer.
    obs
        Columns of obs to have in every batch, labels as integer codes (-1 for missing).
    obsm
        Arrays of obsm to have in every batch.
    dtype
        Type that values are converted to; None for the stored one.
    num_threads
        Threads that read and decode; None for one a core that this process may use.

    Raises
    ------
    ArgumentValueError
        If there is no such file, column, layer or array; it names those there are.
    CollectionError
        If a file is of an unknown kind, or files differ in their genes.
    DamagedFileError
        If a file contradicts itself.
    """
    names = {"obs": obs, "obsm": obsm}
    for name, value in names.items():
        if isinstance(value, str):
            message = f"{name}={value!r} is a string; give a list of names, [{value!r}]."
            raise ArgumentTypeError(message)
    threads = optional_whole("num_threads", num_threads, minimum=1)
    files = [_open(path, layer) for path in _paths(source)]
    _check_same_genes(files)
    return CellCollection(files, obs, obsm, dtype, threads)


def _paths(source: Source | Iterable[Source]) -> list[str]:
    listed = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not listed:
        message = "source is an empty list; give at least one file."
        raise ArgumentValueError(message)
    return [path for one in listed for path in _files_of(os.fspath(one))]


def _files_of(path: str) -> list[str]:
    """Return the files and zarr stores that a path, a pattern or a folder stands for."""
    if not Path(path).exists():
        found = [file for match in sorted(glob.glob(path)) for file in _files_of(match)]  # noqa: PTH207 any pattern
        if not found:
            message = f"source={path!r} matches no file or folder."
            raise ArgumentValueError(message)
        return found
    if not Path(path).is_dir():
        return [path]
    datasets = _numbered(path)
    if datasets or _is_zarr(path):
        return datasets or [path]
    inside = {ending: sorted(str(file) for file in Path(path).glob(f"*{ending}")) for ending in _ENDINGS}
    kinds = {ending: files for ending, files in inside.items() if files}
    if len(kinds) != 1:
        message = (
            f"source={path!r} is a folder with {list(kinds) or 'none'} of {list(_ENDINGS)}; give one with files of one "
            "of these kinds, or a pattern or list of the files."
        )
        raise ArgumentValueError(message)
    return [file for files in kinds.values() for one in files for file in _files_of(one)]


def _numbered(folder: str) -> list[str]:
    """Return the stores in a folder that names them dataset_0, dataset_1, ..., in the order of their numbers."""
    matches = [(re.fullmatch(r"dataset_(\d+)", entry.name), str(entry)) for entry in Path(folder).iterdir()]
    return [path for _, path in sorted((int(match[1]), path) for match, path in matches if match) if _is_zarr(path)]


def _open(path: str, layer: str | None) -> CellFile:
    for is_kind, opened in _KINDS:
        if is_kind(path):
            return opened(path, layer)
    message = f"{path} is neither an HDF5 file nor a zarr store; give h5ad files, 10x .h5 files, or AnnData in zarr."
    raise CollectionError(message)


def _is_zarr(path: str) -> bool:
    if Path(path).is_dir():
        return any((Path(path) / mark).is_file() for mark in ("zarr.json", ".zgroup"))
    return path.endswith(".zip")


def _zarr_file(path: str, layer: str | None) -> CellFile:
    try:
        from scdataset.collections.cells.zarr import ZarrFile  # noqa: PLC0415 an optional package
    except ImportError as error:
        message = f"{path} is a zarr store, which takes the package zarr: pip install 'scdataset[zarr]'"
        raise MissingDependencyError(message) from error
    return ZarrFile(path, layer)


_ENDINGS = (".h5ad", ".zarr", ".zarr.zip", ".h5")

_KINDS: tuple[tuple[Callable[[str], bool], Callable[[str, str | None], CellFile]], ...] = (
    (_is_zarr, _zarr_file),
    (is_tenx, TenxFile),
    (h5py.is_hdf5, H5adFile),
)
"""How to tell the kinds of sources apart, and what opens each; the first that fits."""


def _check_same_genes(files: Sequence[CellFile]) -> None:
    """Raise if files differ in their genes: what differs, and the first that does."""
    if len(files) == 1:
        return
    names = files[0].var.index
    different = [file for file in files[1:] if not file.var.index.equals(names)]
    if different:
        other = different[0].var.index
        message = (
            f"{len(different)} of {len(files)} files have other genes than {files[0].path}: the first is "
            f"{different[0].path}, with {len(other)} genes against {len(names)}, {len(names.intersection(other))} in "
            "both. Give files with the same genes in the same order."
        )
        raise CollectionError(message)
