"""Files beside each other: the entries of a folder of this machine, or of a store."""

import os
from pathlib import Path

from scdataset.engine.bytes.object_store import Bucket, Location, is_url

__all__ = ["bytes_in", "files_in", "is_file", "is_folder", "last_change", "within"]


def within(folder: str, *names: str) -> str:
    """Return the path or URL of something in a folder."""
    return "/".join((folder.rstrip("/"), *names)) if is_url(folder) else os.path.join(folder, *names)  # noqa: PTH118 for URLs too


def is_file(path: str) -> bool:
    """Tell whether there is a regular file, or an object, under a path or URL."""
    if not is_url(path):
        return Path(path).is_file()
    location = Location.from_url(path)
    return Bucket.from_location(location).find(location.key) is not None


def is_folder(path: str) -> bool:
    """Tell whether a path leads to a folder of this machine."""
    return not is_url(path) and Path(path).is_dir()


def files_in(folder: str, ending: str) -> list[str]:
    """Return the files right in a folder whose names end so, in the order of names; none without the folder."""
    if is_url(folder):
        location = Location.from_url(folder)
        bucket = Bucket.from_location(location)
        return [bucket.url(key) for key in bucket.entries(location.key.rstrip("/"))[1] if key.endswith(ending)]
    return [str(path) for path in sorted(Path(folder).glob(f"*{ending}"))]


def bytes_in(path: str) -> int:
    """Return the bytes of a file, or of all files in a folder and below, of this machine."""
    if not Path(path).is_dir():
        return Path(path).stat().st_size
    folders = os.walk(path)
    return sum(Path(folder, name).lstat().st_size for folder, _, names in folders for name in names)


def last_change(path: str) -> tuple[str, int]:
    """Return the folder nearest above a path, and when an entry was added to it or removed, in nanoseconds."""
    folder = next(folder for folder in Path(path).parents if folder.is_dir())
    return str(folder), folder.stat().st_mtime_ns
