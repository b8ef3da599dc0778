"""Memory: the size of objects, and how much this machine has left."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from scdataset._types import RowData

__all__ = ["available_memory", "size_of"]

_CGROUP = Path("/sys/fs/cgroup")


def size_of(value: RowData) -> int:
    """Return the bytes that the rows in ``value`` take, each shared object counted once."""
    return _size(value, set())


def _size(value: RowData, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, (str, bytes)):
        return len(value.encode()) if isinstance(value, str) else len(value)
    members = _members(value)
    if members is not None:
        return sum(_size(member, seen) for member in members)
    if hasattr(value, "memory_usage"):  # pandas
        return int(np.sum(value.memory_usage(deep=True)))
    if hasattr(value, "estimated_size"):  # polars
        return int(value.estimated_size())
    nbytes = getattr(value, "nbytes", None)
    return sys.getsizeof(value) if nbytes is None else int(nbytes)


def _members(value: Any) -> list[object] | None:
    """Return the parts of a container whose sizes add up to its own, or None if it is not made of parts."""
    if hasattr(value, "obsm") and hasattr(value, "layers"):  # AnnData; var belongs to no row
        layers = [layer for name, layer in value.layers.items() if name is not None]  # None is X, in anndata 0.13
        return [value.X, value.obs, *value.obsm.values(), *layers]
    if isinstance(value, Mapping) or (hasattr(value, "unstructured") and hasattr(value, "values")):
        return list(value.values())
    if isinstance(value, (list, tuple, set)):
        return list(value)
    if hasattr(value, "nnz"):  # scipy sparse: each format has some of these
        names = ("data", "indices", "indptr", "row", "col", "offsets", "coords")
        return [part for part in (getattr(value, name, None) for name in names) if part is not None]
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return list(value.flat)
    return None


def available_memory() -> tuple[int, int] | None:
    """Return bytes of memory that are available and in total, within the limit of a container, or None if unknown."""
    system = _of_system()
    limit = _of_container()
    if system is None or limit is None:
        return system
    return min(system[0], limit[0]), min(system[1], limit[1])


def _of_system() -> tuple[int, int] | None:
    with suppress(OSError, KeyError, ValueError):  # not Linux
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return kilobytes["MemAvailable"] * 1024, kilobytes["MemTotal"] * 1024
    with suppress(AttributeError, OSError, ValueError):  # not POSIX, or a name that is not known there
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total // 2, total
    return None


def _of_container() -> tuple[int, int] | None:
    """Return the rest of the memory limit of this cgroup (version 2), and the limit."""
    with suppress(OSError, ValueError):  # no cgroup, or no limit: "max" is not a number
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        return max(limit - int((_CGROUP / "memory.current").read_text(encoding="ascii")), 0), limit
    return None
