"""Where the user's cache directory is, and folders in it that are made of a file once and kept.

``SCDATASET_CACHE_DIR`` names the directory. ``SCDATASET_CACHE=0`` says that nothing shall be kept for speed's sake;
what a file cannot be read without is made all the same.
"""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from scdataset._arguments import warn
from scdataset.engine.files import OpenFile
from scdataset.errors import CacheError, ScDatasetError

__all__ = ["cache_folder", "kept", "switched_off"]


def cache_folder() -> Path:
    """Return ``$SCDATASET_CACHE_DIR``, or else ``scdataset`` in ``$XDG_CACHE_HOME`` or the system's place for it.

    Raises
    ------
    RuntimeError
        If none of these is set, and the user has no home.
    """
    if own := os.environ.get("SCDATASET_CACHE_DIR"):
        return Path(own)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not shared.is_absolute():  # as the specification of that variable wants it
        shared = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return shared / "scdataset"


def switched_off() -> bool:
    """Return whether the user wants nothing kept for the sake of speed."""
    return os.environ.get("SCDATASET_CACHE", "").lower() in {"0", "off", "no", "false"}


def kept(path: str, kind: str, make: Callable[[Path], None]) -> Path:
    """Return the folder that ``make`` filled for a file, now or at an earlier time.

    Parameters
    ----------
    path
        The file: another path or identity, see `OpenFile`, is another file.
    kind
        What is made of it, with a version: a part of the folder's name.
    make
        Fills the empty folder that it is given. The folder is kept only when it returns, whole or not at all, so that
        processes that make the same at one time do not disturb each other.

    Raises
    ------
    CacheError
        If it can be written neither to the cache directory nor to the system's place for temporary files.
    """
    identity = "\n".join([os.path.realpath(path), *map(str, OpenFile(path).identity)])
    name = f"{kind}-{hashlib.blake2b(os.fsencode(identity), digest_size=12).hexdigest()}"
    try:
        return _made(cache_folder(), name, make)
    except (OSError, RuntimeError) as error:
        if isinstance(error, ScDatasetError):
            raise
        return _made_for_now(path, name, make, error)


def _made(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    final = folder / name
    if final.is_dir():
        return final
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=folder))
    try:
        make(made)
        _keep(made, final)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return final


def _made_for_now(path: str, name: str, make: Callable[[Path], None], reason: Exception) -> Path:
    """Return the folder among the temporary files of this process, since the cache directory does not serve."""
    try:
        final = _made(_temporary(os.getpid()), name, make)
    except OSError as error:
        if isinstance(error, ScDatasetError):
            raise
        message = (
            f"{path} can be read only through a copy, and that cannot be written: {reason}; nor as a temporary file: "
            f"{error}. Set SCDATASET_CACHE_DIR to a directory that can be written and has space."
        )
        raise CacheError(message) from error
    warn(
        f"The copy of {path} that it takes to read it cannot be kept: {reason}. It is a temporary file, and made again "
        "in the next process; set SCDATASET_CACHE_DIR to a directory that can be written and has space."
    )
    return final


@cache
def _temporary(pid: int) -> Path:
    """Return a directory that is removed when the process ends that made it, whose workers read it until then."""
    folder = tempfile.mkdtemp(prefix="scdataset-copies-")
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == pid else None)
    return Path(folder)


def _keep(made: Path, final: Path) -> None:
    """Rename the folder, unless another process was faster."""
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise
