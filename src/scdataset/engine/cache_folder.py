"""Where the user's cache directory is, and folders in it that are made of a file once and kept.

``SCDATASET_CACHE_DIR`` names the directory. ``SCDATASET_CACHE=0`` says that nothing shall be kept for speed's sake;
what a file cannot be read without is made all the same.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

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
        The file: another path, size or time of change is another file.
    kind
        What is made of it, with a version: a part of the folder's name.
    make
        Fills the empty folder that it is given. The folder is kept only when it returns, whole or not at all, so that
        processes that make the same at one time do not disturb each other.
    """
    status = os.stat(path)  # noqa: PTH116 of the path as it is given
    identity = f"{os.path.realpath(path)}\n{status.st_size}\n{status.st_mtime_ns}"
    name = f"{kind}-{hashlib.blake2b(os.fsencode(identity), digest_size=12).hexdigest()}"
    final = cache_folder() / name
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=final.parent))
    try:
        make(made)
        _keep(made, final)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return final


def _keep(made: Path, final: Path) -> None:
    """Rename the folder, unless another process was faster."""
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise
