"""Some genes chosen while rows are read, against all genes read and indexed afterwards.

    python benchmarks/genes.py [--genes 2000] [--formats plain gzip] [--rounds 3]

Batches of 1,024 cells as dense float32 from windows of 16,384 in blocks of 64, the file in the page cache. Each way is
a process of its own: ``chosen`` asks `open_collection` for the genes, ``indexed`` reads all and takes the columns of
every batch, and ``all`` reads all genes as CSR and does nothing else. Memory is the peak of the whole process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path

import page_cache
import results
from data import add_options, make_store
from peer_environments import Environments

WAYS = ("chosen", "indexed", "all")

READING = """
    import json, resource, sys, time
    from itertools import islice
    import numpy as np
    from scdataset import BlockShuffling, open_collection, scDataset

    path, way, n_genes, windows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    names = open_collection(path).var_names
    columns = np.sort(np.random.default_rng(0).choice(len(names), n_genes, replace=False))
    cells = open_collection(path, genes=names[columns] if way == "chosen" else None)
    of_batch = {
        "chosen": lambda batch: batch["X"].toarray(),
        "indexed": lambda batch: batch["X"][:, columns].toarray(),
        "all": lambda batch: batch["X"],
    }
    dataset = scDataset(cells, BlockShuffling(64), 1024, 16, seed=0, drop_last=True, batch_transform=of_batch[way])
    batches = iter(dataset)
    for batch in islice(batches, 3 * 16):
        pass
    del batch  # it would keep the memory of its window
    start = time.perf_counter()
    rows = sum(batch.shape[0] for batch in islice(batches, windows * 16))
    seconds = time.perf_counter() - start
    print(json.dumps({"rate": rows / seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
"""


def measure(path: Path, way: str, n_genes: int, windows: int) -> dict[str, float]:
    """Read in a process of its own; return rows a second, and peak memory in MB."""
    page_cache.warm(path)
    command = [sys.executable, "-c", textwrap.dedent(READING), path, way, str(n_genes), str(windows)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Measure all ways in turns, and print each beside reading and indexing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    results.add_options(parser)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--formats", nargs="+", default=["plain", "gzip"], choices=["plain", "gzip"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    kept = results.Results("genes", options)
    for name in options.formats:
        path = make_store(name, options.data, options.cells, Environments(options.data))
        windows = 8 if name == "plain" else 4
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way in WAYS:
                found[way].append(measure(path, way, options.genes, windows))
        for way, rounds in found.items():
            kept.add(name, way, "rows/s", rates=[each["rate"] for each in rounds], memory=[r["memory"] for r in rounds])
            rate, memory = (statistics.median(each[key] for each in rounds) for key in ("rate", "memory"))
            beside = rate / statistics.median(each["rate"] for each in found["indexed"])
            print(f"{name:6} {way:8} {rate:10,.0f} rows/s {beside:5.1f}x indexed, {memory:7,.0f} MB", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
