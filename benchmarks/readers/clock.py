"""Time and memory of a loop over batches, in the environment of whatever is measured: only the standard library."""

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

WINDOW = 16_384
BATCH = 64

_TOLD = (
    *(
        "anndata",
        "annbatch",
        "cellstream",
        "h5py",
        "isal",
        "numba",
        "numcodecs",
        "numpy",
        "scdataset",
        "scipy",
        "torch",
    ),
    *("zarr", "zarrs"),
)


def arguments() -> argparse.Namespace:
    """Return what a reader is asked for: ``path``, ``block``, windows to ``skip`` and to ``count``, and ``how``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("block", type=int)
    parser.add_argument("skip", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("how", nargs="?", default="")
    return parser.parse_args()


def report(
    epoch: Callable[[], Iterable[Any]], n_rows: Callable[[Any], int], skip: int, count: int, **more: Any
) -> None:
    """Measure a loop over epochs and print a line of JSON.

    ``rate`` is rows a second over ``count`` windows, after ``skip`` windows that are not counted: until memory is used
    again rather than asked of the system. ``memory`` is the peak of the whole process in MB, mapped pages of files and
    worker processes included; ``own_memory`` the peak without either, looked at once a window.
    """
    batches = _endless(epoch)
    _consume(batches, n_rows, skip * WINDOW)
    start, rows, own = time.perf_counter(), 0, _anonymous()
    for _ in range(count):
        rows += _consume(batches, n_rows, WINDOW)
        own = max(own, _anonymous())
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 + _peak_of_workers()
    measured = {"rate": rows / seconds, "rows": rows, "seconds": seconds, "memory": memory, "own_memory": own}
    print(json.dumps({**measured, "versions": versions(), **more}))  # noqa: T201


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    found = {package.metadata["Name"].lower(): package.version for package in distributions()}
    return {"python": platform.python_version(), **{name: found[name] for name in _TOLD if name in found}}


def _endless(epoch: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    while True:
        yield from epoch()


def _consume(batches: Iterator[Any], n_rows: Callable[[Any], int], wanted: int) -> int:
    """Take batches until there are so many rows, and return how many there were."""
    rows = 0
    while rows < wanted:
        rows += n_rows(next(batches))
    return rows


def _anonymous() -> float:
    """Return the memory of this process that is not pages of files, in MB; 0 where the system does not tell."""
    return _status("self", "RssAnon")


def _peak_of_workers() -> float:
    """Return the sum of the peaks of processes that this one has running, in MB."""
    listed = Path("/proc/self/task").glob("*/children")
    return sum(_status(worker, "VmHWM") for file in listed for worker in file.read_text().split())


def _status(process: str, name: str) -> float:
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1e3
