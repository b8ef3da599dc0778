"""From a URL to those of objects and stores: one, a pattern or a folder.

A zarr store that is not called so gets a slash at its end, and so does a folder of SCDL.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from glob import has_magic

from scdataset._properties import cached_property
from scdataset.cells.folders import Folder, of_matches, sources_in
from scdataset.cells.formats.probe import is_remote_store
from scdataset.engine.bytes.object_store import Bucket, Location, ObjectVersion, opening
from scdataset.errors import ArgumentValueError, UnreadableFileError

__all__ = ["size_of_url", "urls_of", "version_of_url"]

_ENDINGS = (
    ".h5ad", ".zarr.zip", ".h5", ".h5mu", ".loom", ".arrow", ".parquet", "matrix.mtx", "matrix.mtx.gz",
)  # fmt: skip
"""Endings of objects that are told by their names, and need not be looked for in a listing."""

_LISTINGS = 16
"""Folders that are listed at once."""


def urls_of(url: str) -> list[str]:
    """Return the objects and stores that a URL stands for, in the order of their names.

    Where a key is that of an object and of a folder, it is the folder with a slash at its end alone.

    Raises
    ------
    ArgumentValueError
        If a pattern matches nothing, a folder holds nothing or several kinds, or a host cannot list its objects.
    MissingFileError
        If there is nothing of this name; the message has names that are near.
    """
    location = Location.from_url(url)
    bucket = Bucket.from_location(location)
    if not bucket.can_list:
        _refuse_magic(url, location)
        return [url]
    if has_magic(location.key):
        return _matches(bucket, location.key)
    key = location.key.rstrip("/")
    if key.endswith(".zarr") or location.key.endswith(_ENDINGS):
        return [url]
    folder = _FolderOfObjects(bucket, key)
    is_called_folder = not key or location.key.endswith("/")
    if folder.is_empty and is_called_folder:
        raise bucket.missing(key)
    if not is_called_folder and (folder.is_empty or _is_object(bucket, key)):
        return [url]
    return sources_in(folder)


def _refuse_magic(url: str, location: Location) -> None:
    """Raise if the URL of a host has a query or is a pattern."""
    if has_magic(url[len(location.root) :]):
        what = "has a query, which is not sent" if "?" in url else "is a pattern, and hosts of HTTP list no files"
        message = (
            f"{url.partition('?')[0]} {what}; give the URLs of files as they are, with %5B for a bracket that is part "
            "of a name, or their paths."
        )
        raise ArgumentValueError(message)


def _is_object(bucket: Bucket, key: str) -> bool:
    """Tell whether a key is that of an object, other than an empty one, by which some programs mark folders."""
    with suppress(UnreadableFileError):  # there is a folder, of which nothing else may be asked
        found = bucket.find(key)
        return found is not None and found.size > 0
    return False


def size_of_url(url: str) -> int:
    """Return the bytes of an object, or of all objects of a store."""
    location = Location.from_url(url)
    bucket = Bucket.from_location(location)
    if not is_remote_store(url):
        return bucket.head(location.key).size
    return sum(version.size for version in bucket.walk(location.key.rstrip("/")).values())


def version_of_url(url: str) -> str:
    """Return a text that differs for every version of an object, or of the objects of a store."""
    location = Location.from_url(url)
    bucket = Bucket.from_location(location)
    if not is_remote_store(url):
        return str(tuple(bucket.head(location.key)))
    versions = [(key, *version) for key, version in sorted(bucket.walk(location.key.rstrip("/")).items())]
    return hashlib.blake2b(str(versions).encode(), digest_size=16).hexdigest()


class _FolderOfObjects(Folder):
    """The objects below a key, listed when they are asked for."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        self.path = self.place = bucket.url(key)
        self.is_named_store = key.endswith(".zarr")
        self.source = self.path if self.is_named_store else f"{self.path}/"

    def within(self, name: str) -> str:
        return self._bucket.url(_joined(self._key, name))

    def inside(self, names: Sequence[str]) -> "list[_FolderOfObjects]":
        folders = [_FolderOfObjects(self._bucket, _joined(self._key, name)) for name in names]
        if len(folders) > 1:
            with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="scdataset-listing") as threads:
                list(threads.map(lambda folder: folder.listed, folders))
        return folders

    def has(self, name: str) -> bool:
        return name in self.listed[1]

    def check(self, name: str) -> None:
        """Do nothing: an object that is listed is there."""

    @cached_property
    def listed(self) -> tuple[list[str], dict[str, ObjectVersion]]:
        """The names of folders, and those of objects with their versions."""
        folders, objects = self._bucket.entries(self._key)
        return [*map(_name, folders)], {_name(key): version for key, version in objects.items()}

    @property
    def is_empty(self) -> bool:
        return not any(self.listed)

    @cached_property
    def folders(self) -> Sequence[str]:
        return [name for name in self.listed[0] if not name.startswith(".")]

    @cached_property
    def files(self) -> Sequence[str]:
        """The names of objects, whose versions are noted for the opening that follows."""
        names = [name for name in self.listed[1] if not name.startswith(".")]
        opening().versions.update({self.within(name): self.listed[1][name] for name in names})
        return names


def _matches(bucket: Bucket, pattern: str) -> list[str]:
    *above, last = re.sub(r"/\*\*$", "/*", pattern.rstrip("/")).split("/")
    folders = [_FolderOfObjects(bucket, "")]
    for part in above:
        folders = [one for folder in folders for one in _folders_like(folder, part)]
    matches = {url: sources for folder in folders for url, sources in _matching(folder, last)}
    if not matches:
        message = f"{bucket.url(pattern)} matches no object or store."
        raise ArgumentValueError(message)
    return of_matches(matches, lambda url: matches[url]())


def _folders_like(folder: "_FolderOfObjects", part: str) -> "list[_FolderOfObjects]":
    """Return the folders in a folder whose names match a part of a pattern; those at any depth match ``**``."""
    if part == "**":
        inside = [_inside(folder, name) for name in folder.folders if not name.endswith(".zarr")]
        return [folder, *(below for one in inside for below in _folders_like(one, part))]
    if not has_magic(part):
        return [_inside(folder, part)]
    return [_inside(folder, name) for name in _like(folder.folders, part)]


def _matching(folder: "_FolderOfObjects", part: str) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Yield the matches of the last part of a pattern in a folder, each with a function that returns its sources."""
    for name in _like(folder.folders, part):
        yield f"{folder.within(name)}/", partial(sources_in, _inside(folder, name))
    for name in _like(folder.files, part):
        yield folder.within(name), partial(list, [folder.within(name)])


def _like(names: Sequence[str], part: str) -> list[str]:
    """Return the names that match a part of a pattern: the one that equals it, if there is one."""
    return [part] if part in names else [name for name in names if fnmatchcase(name, part)]


def _inside(folder: "_FolderOfObjects", name: str) -> "_FolderOfObjects":
    return folder.inside([name])[0]


def _name(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]


def _joined(folder: str, part: str) -> str:
    return f"{folder}/{part}" if folder else part
