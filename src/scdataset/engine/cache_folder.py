"""What is made of a file once and kept: a folder in the user's cache directory."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["cache_folder", "kept"]


def cache_folder() -> Path:
    """Return ``$SCDATASET_CACHE_DIR``, or else ``scdataset`` in ``$XDG_CACHE_HOME`` or in ``~/.cache``."""
    own, shared = os.environ.get("SCDATASET_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else Path(shared or Path.home() / ".cache") / "scdataset"


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
