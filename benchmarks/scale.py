"""Time and memory as collections grow: up to 100,000,000 short rows, and the same rows in up to 1,000 files.

    python benchmarks/scale.py [--rows 1000000 10000000 100000000] [--files 100 1000] [--split 10000000]
                               [--parts opening first rate workers kept] [--data DIR]

Every figure is of a process of its own. Files are plain h5ad, made by `scale_files` and removed when they have been
measured (``--keep`` leaves them for another run): 94 bytes of disk a row. They are in the page cache if memory allows.
``kept`` takes no files: it counts what strategies keep of the indices, weights and labels of as many rows.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable  # noqa: TC003 as in the other modules
from pathlib import Path
from typing import Any

import results
from scale_files import BYTES_A_ROW, write_files
from scale_measures import KEPT, STRATEGIES
from table import tables

PARTS = ("opening", "first", "rate", "workers", "kept")
BLOCKS = (1, 16, 64)
METHODS = ("fork", "spawn", "forkserver")
SMALL = 20_000
_MB = 1e6


class Scale:
    """Measurements of one collection after the other.

    Parameters
    ----------
    options
        As given.
    folder
        Of all files, and of the cache.
    """

    def __init__(self, options: Namespace, folder: Path) -> None:
        self.options = options
        self.kept = results.Results("scale", options)
        self._folder = folder
        self._cache = folder / "cache"
        self._small = self._files(SMALL, 1)

    def collection(self, n_rows: int, n_files: int) -> None:
        """Measure one collection, and remove its files."""
        folder = self._files(n_rows, n_files)
        row = f"{n_rows:,} rows" + (f", {n_files:,} files" if n_files > 1 else "")
        measures: dict[str, Callable[[Path, str], None]] = {
            "opening": self._opening,
            "first": self._first,
            "rate": self._rate,
            "workers": self._workers,
        }
        for part, measure in measures.items():
            if part in self.options.parts:
                measure(folder, row)
        if not self.options.keep:
            shutil.rmtree(folder)

    def strategies(self, n_rows: int) -> None:
        """Measure what strategies keep."""
        for case in KEPT:
            found = self._measure("kept", case=case, rows=n_rows)
            for name in ("memory", "peak"):
                self._add(f"kept by strategies of {n_rows:,} rows, bytes a row", case, name, found[name] / n_rows)
            self._add(f"kept by strategies of {n_rows:,} rows, bytes a row", case, "first batch, s", found["seconds"])

    def _opening(self, folder: Path, row: str) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as cache:
            first, again = self._opened_twice(folder, ["cell_type"], cache)
            size = sum(path.stat().st_size for path in Path(cache).rglob("*") if path.is_file())
        _, bare = self._opened_twice(folder, [])
        _, wide = self._opened_twice(folder, ["cell_type", "n_counts"])
        for name, value in {
            "first time, s": first["seconds"],
            "again, s": again["seconds"],
            "memory, MB": again["memory"] / _MB,
            "after the first time, MB": first["memory"] / _MB,
            "cache, MB": size / _MB,
            "rows, bytes a row": bare["memory"] / again["rows"],
            "categories, bytes a row": (again["memory"] - bare["memory"]) / again["rows"],
            "int32 column, bytes a row": (wide["memory"] - again["memory"]) / again["rows"],
        }.items():
            self._add("opening", row, name, value)

    def _opened_twice(self, folder: Path, obs: list[str], cache: str | None = None) -> list[Any]:
        asked = {"folder": str(folder), "small": str(self._small), "obs": obs}
        return [self._measure("opening", cache, **asked) for _ in range(2)]

    def _first(self, folder: Path, row: str) -> None:
        for strategy in STRATEGIES:
            found = self._measure("first", folder=str(folder), small=str(self._small), strategy=strategy)
            self._add("to the first batch, s", row, strategy, found["seconds"])
            self._add("memory to the first batch, MB", row, strategy, found["memory"] / _MB)
            self._add("state, bytes", row, strategy, found["state"])

    def _rate(self, folder: Path, row: str) -> None:
        for block in BLOCKS:
            asked = {"block": block, "seconds": self.options.seconds, "rounds": self.options.rounds}
            rates = self._measure("rate", folder=str(folder), **asked)
            self.kept.add("rows a second", row, f"block {block}", rates=rates)
            self._tell("rows a second", row, f"block {block}", statistics.median(rates))

    def _workers(self, folder: Path, row: str) -> None:
        for method in METHODS:
            asked = {"method": method, "strategy": "BlockWeightedSampling"}
            found = self._measure("workers", folder=str(folder), small=str(self._small), **asked)
            self._add("two workers to their first batch, s", row, method, found["seconds"])
            self._add("memory that two workers add, MB", row, method, found["memory"] / _MB)

    def _add(self, table: str, row: str, column: str, value: float) -> None:
        self.kept.add(table, row, column, values=[value])
        self._tell(table, row, column, value)

    def _tell(self, table: str, row: str, column: str, value: float) -> None:
        print(f"{row}: {table}: {column}: {value:,.4g}", flush=True)  # noqa: T201

    def _measure(self, what: str, cache: str | None = None, **asked: Any) -> Any:
        """Return what one process has measured; allocations of a megabyte are given back as they are freed."""
        environment = {
            **os.environ,
            "SCDATASET_CACHE_DIR": cache or str(self._cache),
            "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
        }
        script = Path(__file__).with_name("scale_measures.py")
        run = [sys.executable, str(script), json.dumps({"what": what, **asked})]
        done = subprocess.run(run, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout)

    def _files(self, n_rows: int, n_files: int) -> Path:
        """Return a folder of files, made now if it is missing."""
        folder = self._folder / f"rows-{n_rows}-files-{n_files}"
        if folder.exists():
            return folder
        needed, free = n_rows * BYTES_A_ROW, shutil.disk_usage(self._folder).free
        if needed > free * 0.9:
            message = f"{n_rows:,} rows take {needed / 1e9:.1f} GB, and {self._folder} has {free / 1e9:.1f} GB left."
            raise SystemExit(message)
        partial = folder.with_name(f"partial-{folder.name}")
        shutil.rmtree(partial, ignore_errors=True)
        write_files(partial, n_rows, n_files)
        return partial.rename(folder)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--rows", nargs="+", type=int, default=[10**6, 10**7, 10**8], help="of one file each")
    parser.add_argument("--files", nargs="*", type=int, default=[100, 1000], help="numbers of files of the same rows")
    parser.add_argument("--split", type=int, default=10**7, help="rows that are split over files")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round of rows a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the files for another run")
    options = parser.parse_args()
    folder = options.data / "scale"
    folder.mkdir(parents=True, exist_ok=True)
    scale = Scale(options, folder)
    for n_rows in options.rows if "kept" in options.parts else []:
        scale.strategies(n_rows)
    if set(options.parts) - {"kept"}:
        for n_rows, n_files in [*((n, 1) for n in options.rows), *((options.split, n) for n in options.files)]:
            scale.collection(n_rows, n_files)
    for line in tables(scale.kept.measurements):
        print(line)  # noqa: T201
    print(f"results: {scale.kept.path}")  # noqa: T201


if __name__ == "__main__":
    main()
