"""Time, descriptors and memory to open thousands of small h5ad files, and to open the same list again.

Each opening is a process of its own, on files that are in the page cache; the second finds what the first kept.

    python benchmarks/many_files.py --against-one --files 200

``--against-one`` reads 2,000,000 short rows in so many files and in one, in turns in one process, and prints the rows
for a second of CPU time, and their ratio: windows of 5,632 rows in batches of 64.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import scipy.sparse
from loops import skip
from scale_files import write_files

from scdataset import BlockShuffling, open_collection, scDataset

N_OBS, N_VARS = 100, 2000

ROWS, BATCH, WINDOW, BLOCKS, ROUNDS = 2_000_000, 64, 88, (1, 16, 64), 5

LAST_YEAR = 1_700_000_000 * 10**9
"""When the files were changed, in nanoseconds: what was written just now is not kept."""


def write(folder: Path, n_files: int) -> None:
    """Write one file and copy it."""
    obs = pd.DataFrame({"cell_type": pd.Categorical(["a", "b"] * (N_OBS // 2))}, [f"c{i}" for i in range(N_OBS)])
    counts = scipy.sparse.random(N_OBS, N_VARS, 0.05, "csr", np.float32, rng=np.random.default_rng(0))
    first = folder / "0.h5ad"
    anndata.AnnData(counts, obs, pd.DataFrame(index=[f"g{i}" for i in range(N_VARS)])).write_h5ad(first)
    for number in range(n_files):
        path = first if number == 0 else Path(shutil.copy(first, folder / f"{number}.h5ad"))
        os.utime(path, ns=(LAST_YEAR, LAST_YEAR))


def opening(folder: Path, n_files: int) -> dict[str, float]:
    """Open all files; return seconds, descriptors held, and MiB of memory that it took at most."""
    paths = [folder / f"{number}.h5ad" for number in range(n_files)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    cells = open_collection(paths, obs=["cell_type"])
    found = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    found["descriptors"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 its names are numbers
    found["MiB"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    rng = np.random.default_rng(0)
    wall = time.perf_counter()
    cells.read(rng.integers(0, cells.n_obs, 4096))
    found["read_4096_rows"] = time.perf_counter() - wall
    found["descriptors_after_reading"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 as above
    return {name: round(value, 2) for name, value in found.items()}


def rates(folder: Path, n_files: int) -> None:
    """Print rows a CPU second by block, of files against one file of the same rows."""
    loops: dict[tuple[int, int], Iterator[Any]] = {}
    for n in (1, n_files):
        write_files(folder / str(n), ROWS, n)
        cells = open_collection(folder / str(n), obs=["cell_type"], num_threads=2)
        for block in BLOCKS:
            loops[n, block] = endless(cells, block)
    for block in BLOCKS:
        found: dict[int, list[float]] = {1: [], n_files: []}
        for _ in range(ROUNDS):
            for n, of_files in found.items():
                of_files.append(rate(loops[n, block]))
        one, many = (statistics.median(of_files) for of_files in found.values())
        sys.stdout.write(f"block {block:>2}: {one:9,.0f} of 1 file, {many:9,.0f} of {n_files}: {many / one:.2f}\n")


def endless(cells: Any, block: int) -> Iterator[Any]:
    """Yield the batches of one epoch after the other."""
    while True:
        yield from scDataset(cells, BlockShuffling(block), BATCH, WINDOW, drop_last=True, seed=0)


def rate(batches: Iterator[Any]) -> float:
    """Return rows a CPU second of some windows."""
    skip(batches, WINDOW)
    start = time.process_time()
    rows = sum(len(batch) for batch in islice(batches, 40 * WINDOW))
    return rows / (time.process_time() - start)


def main() -> None:
    """Write files, open them twice, print what that took."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="of files that are there already: open them once in this process")
    parser.add_argument("--against-one", action="store_true", help="measure reading, against one file")
    arguments = parser.parse_args()
    if arguments.against_one:
        with tempfile.TemporaryDirectory() as name:
            rates(Path(name), arguments.files)
        return
    if arguments.folder is not None:
        sys.stdout.write(json.dumps(opening(arguments.folder, arguments.files)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, arguments.files)
        environment = {**os.environ, "SCDATASET_CACHE_DIR": str(folder / "cache")}
        command = [sys.executable, __file__, "--files", str(arguments.files), "--folder", name]
        for which in ("first", "second"):
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            sys.stdout.write(f"{which:>6}: {done.stdout}\n")
        kept = sum(path.stat().st_size for path in (folder / "cache").rglob("*.table"))
        sys.stdout.write(f"  kept: {kept / 2**20:.1f} MiB\n")


if __name__ == "__main__":
    main()
