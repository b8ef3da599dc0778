"""The number of cores that this process may use."""

import os
from functools import cache
from pathlib import Path

__all__ = ["usable_cores"]


def usable_cores() -> int:
    """Return the number of cores that this process may use: its affinity, and its cgroup's quota if that is less.

    The affinity is asked for each time, since a process may change it; the quota is set once, by whoever starts it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else max(1, min(cores, quota))


@cache
def _quota() -> int | None:
    """Return the cores that the cgroup allows; None where there is no limit or no cgroup."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else round(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
