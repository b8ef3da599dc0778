"""The number of cores that this process may use."""

import os
from functools import cache
from pathlib import Path

from scdataset.errors import ArgumentValueError

__all__ = ["limit_cores", "usable_cores"]

_LIMIT = "SCDATASET_CORES"
"""Variable of the environment, which DataLoader workers inherit however they are started."""


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    That is its affinity, the quota of its cgroup, or the environment's SCDATASET_CORES, whichever is least.

    The affinity is asked for each time, since a process may change it; the quota is set once, by whoever starts it.

    Raises
    ------
    ArgumentValueError
        If SCDATASET_CORES is no positive whole number.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get(_LIMIT)
    return min(cores, _quota() or cores, _number(limit) if limit else cores)


def limit_cores(cores: int) -> None:
    """Limit the cores of this process and of those that it starts, for hosts that set no affinity."""
    os.environ[_LIMIT] = str(cores)


def _number(text: str) -> int:
    """Return the cores that the environment allows."""
    if not text.isdecimal() or int(text) < 1:
        message = f"{_LIMIT}={text!r} is no number of cores; set a whole number of at least 1, or unset it."
        raise ArgumentValueError(message)
    return int(text)


@cache
def _quota() -> int | None:
    """Return the cores that the cgroup allows; None where there is no limit or no cgroup."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else max(1, round(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None
