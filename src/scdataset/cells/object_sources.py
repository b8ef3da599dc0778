"""From a URL to those of objects and stores: one, a pattern or a folder.

A zarr store that is not called so gets a slash at its end, and so does a folder of SCDL.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from glob import has_magic

from scdataset.cells.formats.probe import is_remote_store
from scdataset.engine.bytes.object_store import Bucket, Location, opening
from scdataset.errors import ArgumentValueError

__all__ = ["size_of_url", "urls_of", "version_of_url"]

_ENDINGS = (
    ".h5ad", ".zarr", ".zarr.zip", ".h5", ".h5mu", ".loom", ".arrow", ".parquet", "matrix.mtx", "matrix.mtx.gz",
)  # fmt: skip
"""Endings of objects and stores that a folder may hold; a folder has those of one."""

_OF_SCDL = {"data.npy", "col_ptr.npy", "row_ptr.npy"}
"""Objects of an SCDL folder."""

_MARKS = {"zarr.json", ".zgroup"}
"""Objects of which one is at the top of every store."""


def urls_of(url: str) -> list[str]:
    """Return the objects and stores that a URL stands for, in the order of their names.

    Raises
    ------
    ArgumentValueError
        If a pattern matches nothing, a folder holds nothing or several kinds, or a host cannot list its objects.
    MissingFileError
        If there is nothing of this name; the message has names that are near.
    """
    location = Location.from_url(url)
    bucket = Bucket.from_location(location)
    if has_magic(location.key):
        return _matches(bucket, location.key)
    if location.key.rstrip("/").endswith(_ENDINGS) or not bucket.can_list:
        return [url]
    return _in_folder(bucket, location.key.rstrip("/")) or [url]


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


def _matches(bucket: Bucket, pattern: str) -> list[str]:
    if not bucket.can_list:
        what = "has a query, which is not sent" if "?" in pattern else "is a pattern, and hosts of HTTP list no files"
        message = f"{bucket.url(pattern.partition('?')[0])} {what}; give the URLs of files as they are, or their paths."
        raise ArgumentValueError(message)
    folders = [""]
    *above, last = pattern.rstrip("/").split("/")
    for part in above:
        folders = [one for folder in folders for one in _folders_like(bucket, folder, part)]
    found = [url for folder in folders for url in _matching(bucket, folder, last)]
    if not found:
        message = f"{bucket.url(pattern)} matches no object or store."
        raise ArgumentValueError(message)
    return found


def _folders_like(bucket: Bucket, folder: str, part: str) -> list[str]:
    """Return the folders in a folder whose names match a part of a pattern."""
    if not has_magic(part):
        return [_joined(folder, part)]
    return [one for one in bucket.entries(folder)[0] if _fits(one, part)]


def _matching(bucket: Bucket, folder: str, part: str) -> list[str]:
    """Return the objects and stores in a folder whose names match the last part of a pattern."""
    folders, objects = _noted(bucket, folder)
    found = {key: [bucket.url(key)] for key in objects if _fits(key, part)}
    for key in folders:
        if _fits(key, part):
            found[key] = [bucket.url(key)] if key.endswith(".zarr") else _in_folder(bucket, key)
    return [url for key in sorted(found) for url in found[key]]


def kinds_text(counts: Mapping[str, int], known: Iterable[str]) -> str:
    """Return the contents of a folder that has files of no kind, or of several."""
    found = ", ".join(f"{n:,} {kind}" for kind, n in counts.items())
    return f"files of several kinds ({found})" if found else f"none of {list(known)}"


def _in_folder(bucket: Bucket, folder: str) -> list[str]:
    """Return the objects and stores that a folder stands for: itself, or those in it; none if there are none."""
    folders, objects = _noted(bucket, folder)
    if not folders and not objects:
        return []
    names = {_name(key) for key in objects}
    if names & _MARKS or names >= _OF_SCDL:
        return [f"{bucket.url(folder)}/"]
    by_kind = {ending: [key for key in (*folders, *objects) if key.endswith(ending)] for ending in _ENDINGS}
    by_kind = {ending: keys for ending, keys in by_kind.items() if keys}
    if len(by_kind) != 1:
        counts = {ending: len(keys) for ending, keys in by_kind.items()}
        if folder in {key.rstrip("/") for key in objects}:
            return []
        message = (
            f"{bucket.url(folder)} is a folder with {kinds_text(counts, _ENDINGS)}; give one with objects of one kind, "
            "or a pattern or list of URLs."
        )
        raise ArgumentValueError(message)
    [keys] = by_kind.values()
    return sorted(map(bucket.url, keys))


def _noted(bucket: Bucket, folder: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return the keys of the folders and objects in a folder, and note the versions of these."""
    folders, objects = bucket.entries(folder)
    opening().versions.update({bucket.url(key): version for key, version in objects.items()})
    return [key for key in folders if not _is_hidden(key)], [key for key in objects if not _is_hidden(key, _MARKS)]


def _is_hidden(key: str, but: set[str] | frozenset[str] = frozenset()) -> bool:
    return _name(key).startswith(".") and _name(key) not in but


def _fits(key: str, part: str) -> bool:
    return fnmatchcase(_name(key), part) and not _is_hidden(key)


def _name(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]


def _joined(folder: str, part: str) -> str:
    return f"{folder}/{part}" if folder else part
