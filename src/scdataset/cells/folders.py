"""The files and stores that a folder stands for, by the same rules on disks and in object stores."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

from scdataset.cells.formats.read_errors import reading
from scdataset.cells.formats.registry import SCDL_FILES
from scdataset.engine.bytes.opening import open_bytes
from scdataset.errors import ArgumentValueError, CollectionError

__all__ = ["Folder", "of_matches", "one_of_each_cell", "sources_in"]

_MARKS = ("zarr.json", ".zgroup")
"""Files of which one is at the top of every zarr store."""

_MAX_STATE = 1 << 26
"""Bytes of the list of files of a Hugging Face data set."""


class Folder(ABC):
    """A folder with the names of the entries right in it, in their order; hidden ones are left out.

    Attributes
    ----------
    path
        Its path or URL.
    place
        Its path with all links followed, or its URL.
    source
        The path or URL by which it is opened as a store.
    is_named_store
        Whether its name alone tells that it is a zarr store, so that it need not be listed.
    """

    path: str
    place: str
    source: str
    is_named_store: bool

    @property
    @abstractmethod
    def folders(self) -> Sequence[str]:
        """Names of the entries that are folders."""

    @property
    @abstractmethod
    def files(self) -> Sequence[str]:
        """Names of all other entries."""

    @abstractmethod
    def within(self, name: str) -> str:
        """Return the path or URL of an entry."""

    @abstractmethod
    def inside(self, names: Sequence[str]) -> "Sequence[Folder]":
        """Return folders in it."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Tell whether there is a file of a name, which may be hidden."""

    @abstractmethod
    def check(self, name: str) -> None:
        """Raise if an entry leads nowhere."""

    @property
    def is_zarr(self) -> bool:
        """Whether it is a zarr store."""
        return any(self.has(mark) for mark in _MARKS)

    @property
    def is_scdl(self) -> bool:
        """Whether it is of SCDL."""
        return all(self.has(name) for name in SCDL_FILES)


def sources_in(folder: Folder, above: tuple[str, ...] = ()) -> list[str]:
    """Return the files and stores that a folder stands for: itself, or those in it, in the order of their names.

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
    if folder.place in above:
        message = f"source={folder.path!r} is a link to {folder.place!r}, a folder that it lies in; remove the link."
        raise ArgumentValueError(message)
    if folder.is_named_store:
        return [folder.source]
    found = _numbered(folder) or _hugging_face_files(folder)
    if found or folder.is_zarr or folder.is_scdl:
        return found or [folder.source]
    names = _of_one_kind(folder)
    twice = [name for name in names if f"{name}.gz" in names]
    if twice:
        message = (
            f"source={folder.path!r} has {folder.within(twice[0])!r} both gzipped and not; give the files as a list."
        )
        raise ArgumentValueError(message)
    folders, here = set(folder.folders), (*above, folder.place)
    each = [sources_in(folder.inside([name])[0], here) if name in folders else [folder.within(name)] for name in names]
    return [path for paths in each for path in paths]


def _of_one_kind(folder: Folder) -> list[str]:
    """Return the names of the entries that are sources, in their order."""
    by_kind = {kind: [name for name in (*folder.folders, *folder.files) if fits(name)] for kind, fits in _KINDS.items()}
    for kind, fits in _KINDS_OF_FOLDERS.items():
        called = {name for names in by_kind.values() for name in names}
        unknown = [name for name in folder.folders if name not in called]
        insides = zip(unknown, folder.inside(unknown), strict=True)
        by_kind[kind] = [name for name, inside in insides if fits(inside)]
    found = {kind: sorted(names) for kind, names in by_kind.items() if names}
    for names in found.values():
        for name in names:
            folder.check(name)
    if len(found) == 1:
        return next(iter(found.values()))
    one_of_each_cell(folder.path, [folder.within(name) for names in found.values() for name in names])
    counts = ", ".join(f"{len(names):,} {kind}" for kind, names in found.items())
    there = f"files of several kinds ({counts})" if found else f"none of {[*_KINDS, *_KINDS_OF_FOLDERS]}"
    message = (
        f"source={folder.path!r} is a folder with {there}; give one with files of one kind, or a pattern or list of "
        "the files."
    )
    raise ArgumentValueError(message)


def _numbered(folder: Folder) -> list[str]:
    """Return the stores in a folder that names them dataset_0, dataset_1, ..., in the order of their numbers."""
    names = [name for name in folder.folders if re.fullmatch(r"dataset_\d+", name)]
    names.sort(key=lambda name: int(name.rpartition("_")[2]))
    return [inside.source for inside in folder.inside(names) if inside.is_zarr]


def _hugging_face_files(folder: Folder) -> list[str]:
    """Return the files of a data set that `datasets` saved, in their order; none if the folder is not one."""
    if folder.has("dataset_dict.json"):
        message = (
            f"source={folder.path!r} holds the splits {list(folder.folders)}; give the folder of one, or a list of "
            "several."
        )
        raise ArgumentValueError(message)
    if not folder.has("state.json"):
        return []
    with reading(folder.within("state.json"), "the list of files"):
        saved = json.loads(open_bytes(folder.within("state.json")).read(0, _MAX_STATE))
        if saved.get("_indices_data_files"):
            message = (
                f"{folder.path} holds a selection of rows; save it as rows: "
                "dataset.flatten_indices().save_to_disk(...)."
            )
            raise CollectionError(message)
        return [folder.within(one["filename"]) for one in saved["_data_files"]]


def of_matches(matches: Iterable[str], sources: Callable[[str], Sequence[str]]) -> list[str]:
    """Return the files and stores that the matches of a pattern stand for, each once; none that lie in a store.

    Parameters
    ----------
    matches
        Paths or URLs of files and folders.
    sources
        Returns those that one stands for.
    """
    found: dict[str, None] = {}
    for match in sorted(matches, key=lambda one: one.rstrip("/")):  # a folder comes before what is in it
        if found.keys().isdisjoint(_above(match)):
            found.update(dict.fromkeys(sources(match)))
    return list(found)


def _above(path: str) -> Iterator[str]:
    """Yield the folders above a path, by the names that stores have."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield from (path, f"{path}/")


def one_of_each_cell(source: str, paths: list[str]) -> list[str]:
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


def _ends(*endings: str) -> Callable[[str], bool]:
    return lambda name: name.endswith(endings)


_is_text = _ends("matrix.mtx", "matrix.mtx.gz")

_KINDS: dict[str, Callable[[str], bool]] = {
    ".h5ad": _ends(".h5ad"),
    ".zarr": _ends(".zarr"),
    ".zarr.zip": _ends(".zarr.zip"),
    ".h5": _ends(".h5"),
    ".h5mu": _ends(".h5mu"),
    ".loom": _ends(".loom"),
    "matrix.mtx": _is_text,
    ".shad": _ends(".shad", ".csad"),
    ".arrow": lambda name: name.endswith(".arrow") and not name.startswith("cache-"),
    ".parquet": _ends(".parquet"),
}
"""Tests of the names of files and stores, by their kind."""

_KINDS_OF_FOLDERS: dict[str, Callable[[Folder], bool]] = {
    "SCDL": lambda folder: folder.is_scdl,
    "folders of matrix.mtx": lambda folder: any(map(_is_text, (*folder.folders, *folder.files))),
}
"""Tests of folders whose names do not tell, by their kind."""
