"""From the source that a user gives to the paths of files and stores: one, a list, a pattern or a folder."""

import glob
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, ValuesView
from pathlib import Path

import numpy as np
import pandas as pd

from scdataset._arguments import warn
from scdataset._paths import absolute, existing, is_there, listed, refuse_missing, same_place
from scdataset.cells.formats.read_errors import naming, reading
from scdataset.cells.formats.registry import is_scdl, is_zarr
from scdataset.cells.join.obs import HasObs
from scdataset.cells.object_sources import kinds_text, urls_of
from scdataset.cells.open_many import open_each
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.object_store import is_url
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError

__all__ = ["Source", "paths_of", "warn_of_repeated"]

Source = str | os.PathLike[str]

_SEVERAL = (Sequence, Iterator, ValuesView, np.ndarray, pd.Index, pd.Series)
"""Types that may hold several paths; other iterables, such as AnnData, are refused."""

_MAX_STATE = 1 << 26
"""Bytes of the list of files of a Hugging Face data set."""

_NO_PATHS = (bytes, bytearray, memoryview, io.IOBase)


def paths_of(source: Source | Iterable[Source]) -> list[str]:
    """Return the absolute paths, or URLs, of all files and stores that a source stands for.

    Raises
    ------
    ArgumentTypeError
        If it is neither a path nor several, which is told without iterating over it.
    ArgumentValueError
        If there are none, or it is not clear which are meant; a MissingFileError if a path leads nowhere.
    """
    given = [source] if isinstance(source, (str, os.PathLike)) else _several(source)
    if not given:
        message = "source is an empty list; give at least one file."
        raise ArgumentValueError(message)
    listed = [one if isinstance(one, str) and is_url(one) else absolute("source", one) for one in given]
    return [path for found in open_each(listed, _files_of) for path in found]


def _several(source: object) -> list[object]:
    if isinstance(source, _SEVERAL) and not isinstance(source, _NO_PATHS):
        return list(source)
    remedy = (
        ". Its files are a list of paths: its attribute files"
        if isinstance(source, HasObs)
        else ", such as that of a file that it was written to"
    )
    message = (
        f"source is of type {type(source).__name__}; give a path, or a list of paths{remedy}. Data in memory or open "
        "already goes to scDataset itself: scDataset(data, strategy, batch_size=64)."
    )
    raise ArgumentTypeError(message)


def _files_of(path: str) -> list[str]:
    """Return the files and stores that a path, a pattern or a folder stands for."""
    if is_url(path):
        return _one_of_each_cell(path, urls_of(path))
    if is_there("source", path):
        return _one_of_each_cell(path, _sources_in(path)) if Path(path).is_dir() else [path]
    matches = sorted(glob.glob(path))  # noqa: PTH207 any pattern
    if not matches:
        if glob.has_magic(path) and not Path(path).is_symlink():
            message = f"source={path!r} matches no file or folder."
            raise ArgumentValueError(message)
        refuse_missing("source", path)
    for match in matches:
        existing("source", match)
    return _one_of_each_cell(path, [file for match in matches for file in _files_of(match)])


def _sources_in(folder: str, above: tuple[str, ...] = ()) -> list[str]:
    """Return the files and stores that a folder stands for: itself, or those in it, in the order of their names.

    Hidden files are left out, as a pattern leaves them out.

    Parameters
    ----------
    above
        Folders that lead here, without links, so that a circle of links is told.

    Raises
    ------
    ArgumentValueError
        If there are none, or some of several kinds, which are counted; or links lead in a circle.
    UnreadableFileError
        If the folder may not be listed.
    """
    place = same_place(folder)
    if place in above:
        message = f"source={folder!r} is a link to {place!r}, a folder that it lies in; remove the link."
        raise ArgumentValueError(message)
    datasets = _numbered(folder) or _hugging_face_files(folder)
    if datasets or _is_store(folder):
        return datasets or [folder]
    inside = {kind: found for kind, fits in _NAMES.items() if (found := _entries(folder, fits))}
    if len(inside) != 1:
        _one_of_each_cell(folder, [path for found in inside.values() for path in found])
        counts = {kind: len(found) for kind, found in inside.items()}
        message = (
            f"source={folder!r} is a folder with {kinds_text(counts, _NAMES)}; give one with files of one kind, or a "
            "pattern or list of the files."
        )
        raise ArgumentValueError(message)
    [found] = inside.values()
    for path in found:
        existing("source", path)
    twice = [path for path in found if f"{path}.gz" in found]
    if twice:
        message = f"source={folder!r} has {twice[0]!r} both gzipped and not; give the files as a list."
        raise ArgumentValueError(message)
    return [path for one in found for path in (_sources_in(one, (*above, place)) if Path(one).is_dir() else [one])]


def _entries(folder: str, fits: Callable[[Path], bool]) -> list[str]:
    return sorted(str(entry) for entry in listed("source", folder) if fits(entry))


def _numbered(folder: str) -> list[str]:
    """Return the stores in a folder that names them dataset_0, dataset_1, ..., in the order of their numbers."""
    matches = [(re.fullmatch(r"dataset_(\d+)", entry.name), str(entry)) for entry in listed("source", folder)]
    return [path for _, path in sorted((int(match[1]), path) for match, path in matches if match) if is_zarr(path)]


def _is_store(folder: str) -> bool:
    """Return whether a folder is one source, and not one of several."""
    return is_zarr(folder) or is_scdl(folder)


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
        saved = json.loads(LocalFile(str(state)).read(0, _MAX_STATE))
        if saved.get("_indices_data_files"):
            message = (
                f"{folder} holds a selection of rows; save it as rows: dataset.flatten_indices().save_to_disk(...)."
            )
            raise CollectionError(message)
        return [str(Path(folder) / one["filename"]) for one in saved["_data_files"]]


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda entry: entry.name.endswith(endings)


def _one_of_each_cell(source: str, paths: list[str]) -> list[str]:
    """Return the paths; raise if the raw and the filtered matrix of the same cells are both among them.

    Cell Ranger and STARsolo write both side by side, and give them names that differ in one word.
    """
    there = set(paths)
    for path in paths:
        raw = re.sub(r"filtered(?=[^/]*(/[^/]*)?$)", "raw", path)
        if raw != path and raw in there:
            message = (
                f"source={source!r} has the same cells twice, {path!r} and {raw!r}, which has empty droplets too; "
                "give the path of the one that you want."
            )
            raise ArgumentValueError(message)
    return paths


def _place_of(path: str) -> object:
    if is_url(path):
        return path
    with naming(path):
        status = os.stat(path)  # noqa: PTH116 of thousands of files
    return status.st_dev, status.st_ino


def warn_of_repeated(paths: Sequence[str]) -> None:
    """Warn if a file is there twice, by whatever links and names."""
    if len(paths) < 2:
        return
    seen: dict[object, str] = {}
    for path in paths:
        first = seen.setdefault(_place_of(path), path)
        if first is not path:
            same = "" if first == path else f", also as {first!r}"
            warn(f"source has the file {path!r} more than once{same}; its cells are in the collection as often.")
            return


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
    "SCDL": lambda entry: is_scdl(str(entry)),
    "folders of matrix.mtx": lambda entry: entry.is_dir() and bool(_entries(str(entry), _NAMES["matrix.mtx"])),
}
"""Tests of the entries of a folder that are files or stores, by the name of their format."""
