"""Cells a second of read_cells on a local cluster of Ray, beside the engine alone, and where the rest of the time goes.

    python benchmarks/ray_cells.py [--cells 50000] [--files 3] [--cpus 2] [--rounds 3]

In turns, from the page cache: windows of the engine; the tasks of `read_cells` in this process, which make Arrow; the
same with each block put into Ray's object store and taken out; and the data set on the cluster, its blocks taken out
here.
A CPU of Ray is one thread; the first three use all of them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import page_cache
import ray
import results
from data import GENES_PER_CELL, N_GENES

from scdataset import open_collection
from scdataset.integrations.ray import read_cells, to_csr
from scdataset.integrations.ray.cells import CellSource
from scdataset.simulation import simulate_atlas

WINDOW = 8192


def files_of(folder: Path, n_cells: int, n_files: int) -> list[Path]:
    """Return files of simulated cells, made now if they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"ray-{n_cells}-{number}-of-{n_files}.h5ad" for number in range(n_files)]
    for number, path in enumerate(paths):
        if not path.exists():
            rows = (number + 1) * n_cells // n_files - number * n_cells // n_files
            simulate_atlas(path, n_cells=rows, n_genes=N_GENES, genes_per_cell=GENES_PER_CELL, seed=number)
    return paths


def engine(paths: list[Path], threads: int) -> Iterator[int]:
    """Read windows in file order."""
    with open_collection(paths, num_threads=threads) as cells:
        for first in range(0, len(cells), WINDOW):
            yield cells[first : first + WINDOW]["X"].shape[0]


def tasks(paths: list[Path], threads: int) -> Iterator[int]:
    """Read Arrow blocks by the tasks of a data set, here."""
    for task in CellSource(paths, num_threads=threads).get_read_tasks(8):
        for block in task():
            yield to_csr(block).shape[0]


def stored(paths: list[Path], threads: int) -> Iterator[int]:
    """Do the same, and send each block through the object store."""
    for task in CellSource(paths, num_threads=threads).get_read_tasks(8):
        for block in task():
            yield to_csr(ray.get(ray.put(block))).shape[0]


def on_cluster(paths: list[Path], _: int) -> Iterator[int]:
    """Read the data set on the cluster, and take its blocks out of the object store here."""
    for bundle in read_cells(paths).iter_internal_ref_bundles():
        for reference in bundle.block_refs:
            yield to_csr(ray.get(reference)).shape[0]


WAYS: dict[str, Callable[[list[Path], int], Iterator[int]]] = {
    "engine": engine,
    "+ Arrow": tasks,
    "+ object store": stored,
    "read_cells": on_cluster,
}


def main() -> None:
    """Measure in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    kept = results.Results("ray-cells", options)
    paths = files_of(options.data, options.cells, options.files)
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        settings: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "_temp_dir": folder}
        ray.init(address="local", num_cpus=options.cpus, object_store_memory=2 << 30, **settings)
        try:
            for number in range(options.rounds + 1):  # the first starts workers and compiles
                for name, way in WAYS.items():
                    for path in paths:
                        page_cache.warm(path)
                    begun = time.perf_counter()
                    n_cells = sum(way(paths, options.cpus))
                    assert n_cells == options.cells
                    if number:
                        rates[name].append(n_cells / (time.perf_counter() - begun))
        finally:
            ray.shutdown()
    for name, found in rates.items():
        kept.add("ray-cells", name, "rows a second", rates=found)
        share = statistics.median(found) / statistics.median(rates["engine"])
        kept.note(f"{name:>15}: {statistics.median(found):>9,.0f} cells a second, {share:.2f} of the engine")


if __name__ == "__main__":
    main()
