"""Fourteen plates in three forms, through one training script: rows a second, and whether batches are the same.

    python benchmarks/plates.py [--cells 70000] [--blocks 16 64] [--rounds 2]

The plates are simulated as h5ad files; a Hugging Face data set of lists of genes and values holds the same cells. Read
are the list of files and the data set by `open_collection`, and an AnnCollection of the backed files; beside them
scDataset 0.3.0 reads the AnnCollection and the data set. Batches of 64 from windows of 16,384. The order of rows is one
here, whatever the form, so a digest of the first batches has to be one.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import page_cache
import results
from peer_environments import Environments, run_script

from scdataset.simulation import simulate_atlas

N_PLATES, N_GENES, GENES_PER_CELL = 14, 62_710, 1_650

CONTENDERS = {
    "list of files": ("files", None),
    "AnnCollection": ("anncollection", None),
    "Hugging Face lists": ("lists", None),
    "scDataset 0.3.0, AnnCollection": ("anncollection", "scdataset"),
    "scDataset 0.3.0, Hugging Face lists": ("tensors", "scdataset"),
}
BESIDE = {
    "AnnCollection": "scDataset 0.3.0, AnnCollection",
    "list of files": "scDataset 0.3.0, AnnCollection",
    "Hugging Face lists": "scDataset 0.3.0, Hugging Face lists",
}


def make_plates(folder: Path, n_cells: int) -> Path:
    """Write the plates and the data set, unless they are there."""
    plates = folder / f"plates-{n_cells}"
    plates.mkdir(parents=True, exist_ok=True)
    paths = [plates / f"plate{number:02}.h5ad" for number in range(N_PLATES)]
    for number, path in enumerate(paths):
        if not path.exists():
            size = n_cells // N_PLATES
            simulate_atlas(path, n_cells=size, n_genes=N_GENES, genes_per_cell=GENES_PER_CELL, seed=number)
    if not (plates / "lists").exists():
        _write_lists(paths, plates / "lists")
    return plates


def _write_lists(paths: list[Path], folder: Path) -> None:
    import datasets  # noqa: PLC0415 only where data are made
    import pyarrow as pa  # noqa: PLC0415

    tables = []
    for path in paths:
        with h5py.File(path) as file:
            offsets = pa.array(file["X/indptr"][:].astype(np.int64))
            genes, values = file["X/indices"][:].astype(np.int64), file["X/data"][:]
        columns = [pa.LargeListArray.from_arrays(offsets, pa.array(part)) for part in (genes, values)]
        tables.append(pa.table(columns, names=["genes", "expressions"]))
    datasets.Dataset(datasets.table.InMemoryTable(pa.concat_tables(tables))).save_to_disk(folder)


def main() -> None:
    """Measure all in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--cells", type=int, default=70_000)
    parser.add_argument("--blocks", nargs="+", type=int, default=[16, 64])
    parser.add_argument("--windows", nargs=2, type=int, default=[2, 3], help="windows to skip and to count")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    kept, environments = results.Results("plates", options), Environments(options.data)
    plates = make_plates(options.data, options.cells)
    for block in options.blocks:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
        for _ in range(options.rounds):
            for name, (how, peer) in CONTENDERS.items():
                page_cache.warm(plates)
                python = environments.python(peer) if peer else Path(sys.executable)
                found[name].append(run_script(python, "read_plates.py", plates, block, *options.windows, how))
        digests = {name: runs[0]["digest"] for name, runs in found.items() if name in BESIDE}
        kept.note(f"block {block}: batches are {'the same' if len(set(digests.values())) == 1 else digests}")
        rates = {name: statistics.median(run["rate"] for run in runs) for name, runs in found.items()}
        for name, runs in found.items():
            told = {key: [run[key] for run in runs] for key in ("seconds", "memory", "digest")}
            kept.add("14 plates, rows/s", f"block {block}", name, rates=[run["rate"] for run in runs], **told)
            ratio = f"  {rates[name] / rates[BESIDE[name]]:5.1f}x" if name in BESIDE else ""
            print(f"block {block:3} {name:36} {rates[name]:10,.0f}{ratio}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
