"""Kill conversions with SIGKILL at random moments and go on, until each store is finished; it has to be the same store.

Usage: python tests/soak/kill_convert.py [kills] [seed]

Prints the moments by what was there when the process was killed; ends with an error at the first difference.
"""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse

from scdataset import convert

N, GENES = 3000, 200
STORAGE = {"chunk_size": 1024, "shard_size": 4096, "progress": False, "shuffle": True, "obsm": ["X_pca"]}

processes = multiprocessing.get_context("fork")


def write_cells(path):
    """Write a file of cells."""
    rng = np.random.default_rng(0)
    x = scipy.sparse.random(N, GENES, 0.1, "csr", dtype=np.float32, random_state=0)
    x.data = np.ceil(x.data * 300)
    obs = pd.DataFrame({"group": rng.choice(["a", "b"], N)}, index=[f"cell{row}" for row in range(N)])
    anndata.AnnData(x, obs=obs, obsm={"X_pca": rng.random((N, 5))}).write_h5ad(path)


def content(folder):
    """Return all files of a store."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(source, out, patience=None):
    """Convert in a process of its own, which is killed after some seconds; return how long it took, if it was not."""
    process = processes.Process(target=convert, args=(source, out), kwargs=STORAGE)
    begun = time.monotonic()
    process.start()
    process.join(patience)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        message = f"A conversion ended with code {process.exitcode}."
        raise AssertionError(message)
    return time.monotonic() - begun if process.exitcode == 0 else None


def stage(out):
    """Tell how far a conversion came."""
    folder = out.with_name(f"{out.name}.conversion")
    if out.exists():
        return "the store had its name"
    if (folder / "shards.jsonl").exists():
        return "some shards were complete"
    return "a plan was there" if (folder / "plan.json").exists() else "no plan was there"


def kill_and_go_on(folder, kills, seed):
    """Kill conversions that often; return how far they were."""
    random.seed(seed)
    source, stages, n_stores = folder / "cells.h5ad", Counter(), 0
    write_cells(source)
    seconds = run(source, folder / "whole.zarr")
    expected = content(folder / "whole.zarr")
    while stages.total() < kills:
        out = folder / f"{n_stores}.zarr"
        # Every kill leaves less to do.
        while run(source, out, random.uniform(0, seconds)) is None:
            stages[stage(out)] += 1
            if out.exists() and not out.with_name(f"{out.name}.conversion").exists():
                break  # it was through, and died as it left
        n_stores += 1
        if content(out) != expected:
            message = f"{out} differs from a store that was written in one go."
            raise AssertionError(message)
    return stages, n_stores


def main():
    """Kill, and print how far conversions were."""
    kills, seed = (int(text) for text in [*sys.argv[1:], *("50", "0")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        stages, n_stores = kill_and_go_on(Path(folder), kills, seed)
    for name, count in stages.most_common():
        print(f"{count:4d} kills when {name}")  # noqa: T201
    print(f"{n_stores} stores, all the same")  # noqa: T201


if __name__ == "__main__":
    main()
