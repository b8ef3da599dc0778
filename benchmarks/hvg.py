"""Highly variable genes out of core and by scanpy in memory: time, peak memory, and whether they are the same.

    python benchmarks/hvg.py [--cells 300000] [--compared 100000] [--genes 2000]

scanpy holds the matrix and copies of it, so it gets the first ``--compared`` cells, and this package those and all.
Each measurement is a process of its own, the file in the page cache. Time is that of opening or reading the file and of
the function; memory is the peak of the whole process, libraries included. The flavors that take logarithms read a copy
of the store whose counts were normalised and logged.
"""

import argparse
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import page_cache
import pandas as pd
import results
from data import add_options, make_store
from peer_environments import Environments

RUNS = [(flavor, key) for flavor in ("seurat_v3", "seurat", "cell_ranger") for key in ("", "donor")]
RUNS.insert(2, ("seurat_v3_paper", "donor"))  # it is seurat_v3 where there are no batches

PEAK = """
    with open("/proc/self/status") as status:  # what getrusage says is at least what the parent had
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "memory": peak / 1e3}))
"""

OURS = """
    import json, sys, time
    import numpy as np
    from scdataset import open_collection, pp

    path, n_cells, n_genes, flavor, key, output = sys.argv[1:]
    pp.highly_variable_genes(open_collection(path), 10, flavor, indices=np.arange(1000))  # compiles
    start = time.perf_counter()
    cells = open_collection(path)
    rows = np.arange(int(n_cells))
    pp.highly_variable_genes(cells, int(n_genes), flavor, key or None, indices=rows).to_parquet(output)
    seconds = time.perf_counter() - start
"""

SCANPY = """
    import json, sys, time, warnings
    warnings.simplefilter("ignore")
    import anndata, scanpy

    path, n_cells, n_genes, flavor, key, output = sys.argv[1:]
    options = {"n_top_genes": int(n_genes), "flavor": flavor, "inplace": False}
    small = anndata.read_h5ad(path, backed="r")[:1000].to_memory()
    if flavor != "cell_ranger":  # which fails where many genes are not expressed
        scanpy.pp.highly_variable_genes(small, **options)  # compiles
    start = time.perf_counter()
    adata = anndata.read_h5ad(path, backed="r")
    adata = (adata if int(n_cells) == adata.n_obs else adata[: int(n_cells)]).to_memory()
    found = scanpy.pp.highly_variable_genes(adata, batch_key=key or None, **options)
    found.drop(columns="mean_bin", errors="ignore").to_parquet(output)
    seconds = time.perf_counter() - start
"""


def measure(program: str, path: Path, n_cells: int, n_genes: int, flavor: str, key: str, output: Path) -> Any:
    """Run in a process of its own; return seconds and peak memory in MB, or why it failed."""
    page_cache.warm(path)
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(program + PEAK),
        *map(str, (path, n_cells, n_genes, flavor, key, output)),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:120]


def logged(path: Path) -> Path:
    """Return a copy of a store whose counts were normalised to 10,000 and logged, made now if it is missing."""
    made = path.with_name(f"logged-{path.name}")
    if not made.exists():
        partial = made.with_name(f"partial-{made.name}")
        shutil.copyfile(path, partial)
        with h5py.File(partial, "r+") as file:
            data, pointers = file["X/data"], file["X/indptr"][:]
            for first in range(0, pointers.size - 1, 1 << 14):
                own = pointers[first : first + (1 << 14) + 1]
                values = data[own[0] : own[-1]]
                totals = np.add.reduceat(values, own[:-1] - own[0]).astype(np.float32) / np.float32(1e4)
                data[own[0] : own[-1]] = np.log1p(values / np.repeat(totals, np.diff(own)))
        partial.rename(made)
    return made


def difference(ours: Path, theirs: Path) -> str:
    """Return how far two results are apart; raise if they are not the same genes."""
    found, expected = pd.read_parquet(ours), pd.read_parquet(theirs)
    assert found.index.equals(expected.index)
    assert found["highly_variable"].equals(expected["highly_variable"])
    numbers = found.select_dtypes("floating").columns
    if all(np.array_equal(found[name], expected[name], equal_nan=True) for name in numbers):
        return "same bits"
    for name in numbers:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-9, err_msg=name)
    furthest = max(float(np.nanmax(np.abs(found[name] - expected[name]))) for name in numbers)
    return f"same genes, numbers within {furthest:.1g}"


def main() -> None:
    """Measure all flavors, and print this package beside scanpy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    results.add_options(parser)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--compared", type=int, default=100_000, help="cells that scanpy gets too")
    options = parser.parse_args()
    kept = results.Results("hvg", options)
    plain = make_store("plain", options.data, options.cells, Environments(options.data))
    folder = kept.path.parent
    for flavor, key in RUNS:
        path = plain if flavor.startswith("seurat_v3") else logged(plain)
        outputs = [folder / f"hvg-{name}.parquet" for name in ("ours", "scanpy", "all")]
        runs = zip(
            ("ours", "scanpy", "all"),
            (OURS, SCANPY, OURS),
            (options.compared,) * 2 + (options.cells,),
            outputs,
            strict=True,
        )
        row = f"{flavor} by {key or 'nothing'}"
        for name, program, n_cells, output in runs:
            found = measure(program, path, n_cells, options.genes, flavor, key, output)
            failed = isinstance(found, str)
            kept.add(row, name, "failed" if failed else "seconds", cells=n_cells, found=found)
            shown = found if failed else f"{found['seconds']:7.1f} s, {found['memory']:7,.0f} MB"
            print(f"{row:28} {name:7} {n_cells:9,} cells {shown}", flush=True)  # noqa: T201
            if name == "scanpy" and not failed:
                print(f"{row:28} {difference(outputs[0], output)}", flush=True)  # noqa: T201
        for output in outputs:
            output.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
