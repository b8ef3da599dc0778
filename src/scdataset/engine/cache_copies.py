"""Which copies in the cache directory are in use, and which are removed for new ones.

    plain-arrow-2-8c1f0d3a5b7e9042-5d0e1b6f7a8c9d3e/     its time of change: the last use
        used-5f3c9e01a2b4-0f3a9c21d5e8b764-4242          machine, random, process

Every process leaves a file of its name beside a copy that it opens, and removes those of processes that have ended.
Locks would say the same and cost a descriptor a copy, for as long as a process reads it.

``SCDATASET_CACHE_GIB`` is the size that all copies may have together; half of the disk's free space, with the copies
counted as free, where it is not set. Copies in use are never removed, so that there may be more.
"""

import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scdataset._processes import abandoned, name_of_process, new_name
from scdataset.engine.cache_paths import said_size
from scdataset.engine.cache_table import remove

__all__ = ["MAKING", "MANIFEST", "make_room", "mark_used", "put_aside"]

MANIFEST = "manifest"
"""The file that makes a folder a copy; see `cached_copy`."""

MAKING = "making"
"""Prefix of the names of folders that are not whole yet, or are being removed."""

_VARIABLE = "SCDATASET_CACHE_GIB"

_NAME = re.compile(r".+-[0-9a-f]{16}-[0-9a-f]{16}")
"""Names of copies: the cache directory also holds tables, and perhaps other things of the user's."""

_USED = "used"

_OUTDATED = 30 * 24 * 3600
"""Seconds since a process of another machine opened a copy, or one before a restart, after which it counts as ended."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy, the time of its last use in nanoseconds, and its bytes."""

    folder: Path
    last_use: int
    n_bytes: int


def mark_used(copy: Path) -> None:
    """Note that this process reads a copy, if that can be noted."""
    with suppress(OSError):  # of another user, or on a disk that is full or only read
        (copy / _mark(os.getpid())).touch()
        os.utime(copy)


def make_room(folder: Path, new: Path | None = None) -> None:
    """Remove the copies used longest ago until all have the size that they may have; not a new one, nor any in use.

    Raises
    ------
    ArgumentValueError
        If ``SCDATASET_CACHE_GIB`` is no number.
    """
    copies = sorted(_copies(folder), key=lambda copy: copy.last_use)
    taken = sum(copy.n_bytes for copy in copies)
    most = _most_bytes(folder, taken)
    for copy in copies:
        if taken <= most:
            break
        if copy.folder != new and _removed(copy.folder):
            taken -= copy.n_bytes


def put_aside(path: Path, kind: str) -> Path:
    """Rename a file or folder, at once for others that look at it, and return its new path, named by ``kind``."""
    aside = path.with_name(name_of_process(new_name(kind), os.getpid()))
    return path.rename(aside)


@cache
def _mark(pid: int) -> str:
    return name_of_process(new_name(_USED), pid)


def _most_bytes(folder: Path, taken: int) -> float:
    said = said_size(_VARIABLE)
    return (shutil.disk_usage(folder).free + taken) / 2 if said is None else said


def _copies(folder: Path) -> list[_Copy]:
    found = []
    for manifest in folder.glob(f"*/{MANIFEST}"):
        copy = manifest.parent
        with suppress(OSError):  # another process removes them too
            if _NAME.fullmatch(copy.name):
                n_bytes = sum(file.lstat().st_size for file in copy.iterdir())
                found.append(_Copy(copy, copy.stat().st_mtime_ns, n_bytes))
    return found


def _removed(copy: Path) -> bool:
    """Remove a copy and return True, unless it is in use."""
    try:
        if _is_used(copy):
            return False
        aside = put_aside(copy, MAKING)
        if _is_used(aside):  # opened since it was asked
            aside.rename(copy)
            return False
    except OSError:  # another process removes it, or it is another user's
        return False
    remove(aside)
    return True


def _is_used(copy: Path) -> bool:
    """Tell whether a process that has opened a copy may still read it."""
    last_use = copy.stat().st_mtime_ns
    for left in abandoned(copy, _USED):
        left.unlink(missing_ok=True)
    os.utime(copy, ns=(last_use, last_use))  # to remove a mark was no use
    own = _mark(os.getpid()).rsplit("-", 2)[0]
    return any(
        mark.name.startswith(own) or time.time() - mark.stat().st_mtime < _OUTDATED for mark in copy.glob(f"{_USED}-*")
    )
