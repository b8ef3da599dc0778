"""From the source that a user gives to the paths of files and stores: one, a list, a pattern or a folder."""

import glob
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence, ValuesView
from pathlib import Path

import numpy as np
import pandas as pd

from scdataset._arguments import warn
from scdataset._paths import absolute, existing, is_there, listed, refuse_missing, same_place
from scdataset._properties import cached_property
from scdataset.cells.folders import Folder, of_matches, one_of_each_cell, sources_in
from scdataset.cells.formats.read_errors import naming
from scdataset.cells.join.obs import HasObs
from scdataset.cells.object_sources import urls_of
from scdataset.cells.open_many import open_each
from scdataset.engine.bytes.object_store import is_url
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["Source", "paths_of", "warn_of_repeated"]

Source = str | os.PathLike[str]

_SEVERAL = (Sequence, Iterator, ValuesView, np.ndarray, pd.Index, pd.Series)
"""Types that may hold several paths; other iterables, such as AnnData, are refused."""

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
        return one_of_each_cell(path, urls_of(path))
    if is_there("source", path):
        return one_of_each_cell(path, sources_in(_FolderOnDisk(path))) if Path(path).is_dir() else [path]
    matches = _matches(path)
    if not matches:
        if glob.has_magic(path) and not Path(path).is_symlink():
            message = f"source={path!r} matches no file or folder."
            raise ArgumentValueError(message)
        refuse_missing("source", path)
    for match in matches:
        existing("source", match)
    return one_of_each_cell(path, of_matches(matches, _files_of))


def _matches(pattern: str) -> list[str]:
    """Return the entries that match a pattern, in which ``**`` is for folders at any depth."""
    below = re.sub(r"/\*\*/?$", "/*", pattern)
    return sorted(glob.glob(below, recursive=True))  # noqa: PTH207 any pattern


class _FolderOnDisk(Folder):
    """A folder of this machine."""

    is_named_store = False

    def __init__(self, path: str) -> None:
        self.path = self.source = path
        self.place = same_place(path)
        self._are_folders = {
            entry.name: os.path.isdir(entry)  # noqa: PTH112 False where it may not be asked
            for entry in listed("source", path)
        }

    @cached_property
    def folders(self) -> Sequence[str]:
        return [name for name, is_folder in self._are_folders.items() if is_folder]

    @cached_property
    def files(self) -> Sequence[str]:
        return [name for name, is_folder in self._are_folders.items() if not is_folder]

    def within(self, name: str) -> str:
        return str(Path(self.path) / name)

    def inside(self, names: Sequence[str]) -> list[Folder]:
        return [_FolderOnDisk(self.within(name)) for name in names]

    def has(self, name: str) -> bool:
        return Path(self.within(name)).is_file()

    def check(self, name: str) -> None:
        existing("source", self.within(name))


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
