"""The cache directory of the user, and folders in it that are made of a file once.

    plain-arrow-2-8c1f0d3a5b7e9042-5d0e1b6f7a8c9d3e/     kind, path and identity of the file
        rows.arrow                                       the copy made of it
        manifest                                         path and identity again, sizes and checksums

A folder is used only if its manifest is of the file as it is now, and if its files have the sizes and checksums of the
manifest. Anything else in its place, such as a pipe, an emptied folder or one of another file, is made again.

``SCDATASET_CACHE_DIR`` names the directory. ``SCDATASET_CACHE=0`` says that nothing is cached for speed alone;
copies without which a file cannot be read are made all the same. See `cache_copies` for how much they may take.
"""

import atexit
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import warn
from scdataset._processes import abandoned, name_of_process, new_name
from scdataset._types import Array
from scdataset.engine.bytes.copied import CopiedFile, block_checksums
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.cache_copies import MAKING, MANIFEST, make_room, put_aside
from scdataset.engine.cache_paths import cache_folder
from scdataset.engine.cache_table import checksum, read_table, remove, write_table
from scdataset.errors import CacheError, DamagedFileError, ScDatasetError

__all__ = ["Make", "cached_copy"]

Make = Callable[[Path], Mapping[str, NDArray[np.int64]]]
"""Fills an empty folder with files, and returns which stretches of them are checked only when they are read: by name,
first byte and end of each, shape ``(n, 2)``. All other bytes are checked whenever the copy is opened."""

_SETTLED = 2 * 10**9
"""Nanoseconds since a file was changed, before which it might change again and show the same time of change."""

_READ = 1 << 22
"""Bytes of a file that are summed up at a time."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy of a file as it is now; its kind has a version in it."""

    source: ByteSource
    kind: str
    make: Make

    @property
    def key(self) -> list[object]:
        """Kind, path and identity of the file, all but the time of status, which a chmod changes too."""
        return [self.kind, self.source.address, *self.source.identity[:4]]

    @property
    def place(self) -> str:
        """Prefix of its name, which is the same for every identity of the file."""
        return f"{self.kind}-{_digest(self.key[:2])}-"

    @property
    def name(self) -> str:
        """Name of the folder."""
        return f"{self.place}{_digest(self.key)}"

    @property
    def status_changed(self) -> int | None:
        """The file's time of status, or None if a change of it from now on may show the same times."""
        if self.source.is_remote:
            return self.last_change
        modified = int(self.source.identity[3])
        return self.last_change if time.time_ns() - max(modified, self.last_change) >= _SETTLED else None

    @property
    def last_change(self) -> int:
        """The file's time of status; 0 for an object of a store, whose version in the key tells all changes."""
        return 0 if self.source.is_remote else int(self.source.identity[4])

    def content(self) -> int:
        """Return the checksum of all of the file; 0 for an object, which would be fetched for it."""
        file = self.source
        if file.is_remote:
            return 0
        return checksum(*(file.read_unchecked(start, _READ) for start in range(0, file.size, _READ)))


def cached_copy(path: str, kind: str, make: Make) -> dict[str, CopiedFile]:
    """Return the files that ``make`` made of a file, now or at an earlier time.

    Parameters
    ----------
    path
        The file, or the URL of an object: another path or identity, see `ByteSource`, is another file.
    kind
        The kind of copy, with a version: a part of the folder's name.
    make
        Fills the empty folder that it is given; see `Make`. The folder is cached only when it returns, whole or not at
        all, so that processes that make the same at one time do not disturb each other.

    Raises
    ------
    CacheError
        If it can be written neither to the cache directory nor to the system's place for temporary files.
    DamagedFileError
        If the file changes while its copy is made.
    """
    copy = _Copy(open_bytes(path), kind, make)
    try:
        return _found_or_made(cache_folder(), copy)
    except (OSError, RuntimeError) as error:
        if isinstance(error, ScDatasetError):
            raise
        return _made_for_now(copy, error)


def _found_or_made(folder: Path, copy: _Copy) -> dict[str, CopiedFile]:
    found = _found(folder / copy.name, copy)
    if found is None:
        _make(folder, copy)
        found = _found(folder / copy.name, copy)
    if found is None:
        message = f"{folder / copy.name} is not as it was written"
        raise OSError(message)
    return found


def _make(folder: Path, copy: _Copy) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for left in abandoned(folder, MAKING):
        remove(left)
    make_room(folder)
    made = folder / name_of_process(new_name(MAKING), os.getpid())
    made.mkdir(mode=0o700)
    try:
        status_changed, content = copy.status_changed, copy.content()
        later = copy.make(made)
        copy.source.check()
        if status_changed is None and content != copy.content():
            message = f"{copy.source.path} was changed while its copy was made; open it again."
            raise DamagedFileError(message)
        _write_manifest(made, copy, later, {"content": content, "status_changed": status_changed})
        _keep(made, folder / copy.name, copy)
    finally:
        remove(made)
    for other in folder.glob(f"{copy.place}*"):
        if other.name != copy.name:
            _put_away(other)
    make_room(folder, folder / copy.name)


def _found(folder: Path, copy: _Copy) -> dict[str, CopiedFile] | None:
    """Return the files of a copy, with all checked that is not checked later, or None if there is none that holds."""
    try:
        stored = read_table(folder / MANIFEST, copy.key)
        if stored is None:
            return None
        about, checksums, later = json.loads(stored[0].tobytes()), stored[1], stored[2].reshape(-1, 2)
        if about["status_changed"] != copy.last_change and not _confirmed(folder, copy, about, stored):
            return None
        files = {}
        for name, size, n_checksums, n_later in about["files"]:
            place = str(folder / name)
            copied = CopiedFile(place, copy.source.path, size, checksums[:n_checksums], folder / MANIFEST)
            copied.check_outside(later[:n_later])
            files[name], checksums, later = copied, checksums[n_checksums:], later[n_later:]
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return None
    return files


def _confirmed(folder: Path, copy: _Copy, about: dict[str, object], stored: list[Array]) -> bool:
    """Tell whether a file still has the content of which a copy was made, where its times do not tell.

    The time of status changes with permissions and links as well as with a content whose time was set back. A change at
    the same tick of the system's clock as an earlier one shows in no time at all.
    """
    status_changed = copy.status_changed
    if copy.content() != about["content"]:
        return False
    if status_changed is not None:
        with suppress(OSError):  # a cache that this user cannot write to
            text = np.frombuffer(json.dumps({**about, "status_changed": status_changed}).encode(), np.uint8)
            write_table(folder / MANIFEST, copy.key, [text, *stored[1:]])
    return True


def _write_manifest(
    made: Path, copy: _Copy, later: Mapping[str, NDArray[np.int64]], about: dict[str, int | None]
) -> None:
    paths = sorted(made.iterdir())
    sums = [block_checksums(str(path)) for path in paths]
    stretches = [later.get(path.name, np.empty((0, 2), np.int64)) for path in paths]
    listed = [
        (path.name, path.stat().st_size, part.size, len(values))
        for path, part, values in zip(paths, sums, stretches, strict=True)
    ]
    text = np.frombuffer(json.dumps({**about, "files": listed}).encode(), np.uint8)
    arrays: list[Array] = [text, np.concatenate(sums), np.concatenate(stretches).astype(np.int64).reshape(-1)]
    write_table(made / MANIFEST, copy.key, arrays)


def _keep(made: Path, final: Path, copy: _Copy) -> None:
    """Move a folder that is whole to its place, unless another process was faster."""
    if _found(final, copy) is not None:
        return
    _put_away(final)
    try:
        made.rename(final)
    except OSError:
        if _found(final, copy) is None:
            raise


def _put_away(path: Path) -> None:
    """Remove whatever is there, at once for others that look at it."""
    if os.path.lexists(path):
        remove(put_aside(path, MAKING))


def _made_for_now(copy: _Copy, reason: Exception) -> dict[str, CopiedFile]:
    """Return a copy among the temporary files of this process, since the cache directory does not serve."""
    path = copy.source.path
    try:
        files = _found_or_made(_temporary(os.getpid()), copy)
    except OSError as error:
        if isinstance(error, ScDatasetError):
            raise
        message = (
            f"{path} can be read only through a copy, and that cannot be written: {reason}; nor as a temporary file: "
            f"{error}. Set SCDATASET_CACHE_DIR to a directory that can be written and has space."
        )
        raise CacheError(message) from error
    warn(
        f"The copy needed to read {path} cannot be cached: {reason}. It is a temporary file, and made again "
        "in the next process; set SCDATASET_CACHE_DIR to a directory that can be written and has space."
    )
    return files


@cache
def _temporary(pid: int) -> Path:
    """Return a directory that is removed when the process ends that made it, whose workers read it until then."""
    kind, parent = "scdataset-copies", Path(tempfile.gettempdir())
    for left in abandoned(parent, kind):
        remove(left)
    folder = parent / name_of_process(new_name(kind), pid)
    folder.mkdir(mode=0o700)
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == pid else None)
    return folder


def _digest(value: list[object]) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()
