"""Names of temporary files that tell which process they belong to, so that others remove them once it has ended.

    scdataset-epochs-5f3c9e01a2b4-0f3a9c21d5e8b764-4242.json     machine, random, process

A process that is killed removes nothing. Process ids are valid on one machine, until it is started again, and in one
PID namespace, such as that of a container: names have a digest of these, and files of other machines are left alone.
"""

import hashlib
import os
import platform
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["abandoned", "name_of_process", "new_name"]

_OLD = 60 * 10**9
"""Nanoseconds since the last change, before which nothing is taken for abandoned."""


def new_name(kind: str) -> str:
    """Return a name that no other process on any machine has."""
    return f"{kind}-{_machine()}-{secrets.token_hex(8)}"


def name_of_process(name: str, pid: int) -> str:
    """Return a new name with the process that its files belong to."""
    return f"{name}-{pid}"


def abandoned(folder: Path, kind: str, endings: tuple[str, ...] = ("",)) -> Iterator[Path]:
    """Yield temporary files and folders that ended processes of this user left behind.

    Parameters
    ----------
    folder
        Where they lie; one that cannot be listed has none.
    kind, endings
        How their names begin and end.
    """
    ends = "|".join(map(re.escape, endings))
    pattern = re.compile(rf"{re.escape(kind)}-{_machine()}-[0-9a-f]{{16}}-([1-9][0-9]{{0,8}})({ends})")
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 names alone, of a folder that may hold a hundred thousand
            match = pattern.fullmatch(name)
            if match and not _exists(int(match[1])) and _is_own_and_old(folder / name):
                yield folder / name


@cache
def _machine() -> str:
    """Return a digest of the machine, its last start and the PID namespace, as far as the system tells them."""
    known = []
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.blake2b("\n".join(known or [platform.node()]).encode(), digest_size=6).hexdigest()


def _exists(pid: int) -> bool:
    """Tell whether a process exists; where the system has no way to ask, it is taken to."""
    if sys.platform == "win32":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _is_own_and_old(path: Path) -> bool:
    """Tell whether a file or folder, no link, is this user's and has not changed for a minute."""
    try:
        status = path.lstat()
    except OSError:
        return False
    own = status.st_uid == os.getuid() if hasattr(os, "getuid") else False
    kind = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return own and kind and time.time_ns() - status.st_mtime_ns > _OLD
