"""A CSR batch to a dense float32 tensor: seconds of `ToTorch` beside other ways, and writing the same bytes alone.

    python benchmarks/dense.py [--rows 1024] [--genes 62710] [--rounds 9]

All in one process and in turns, over memory that was used before where a way allows it. `ToTorch` uses a thread a core;
`taskset -c 0` before it measures one.
"""

import argparse
import ctypes
import statistics
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import results
import scipy.sparse

from scdataset.transforms import ToTorch

NON_ZEROS = 1_650
"""Of a cell, on average."""


def ways(rows: int, genes: int) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name."""
    generator = np.random.default_rng(0)
    pointers = np.concatenate([[0], generator.poisson(NON_ZEROS, rows).clip(1, genes).cumsum()])
    columns = [np.sort(generator.choice(genes, n, replace=False)) for n in np.diff(pointers)]
    matrix = scipy.sparse.csr_matrix(
        (generator.random(pointers[-1], dtype=np.float32), np.concatenate(columns), pointers), (rows, genes)
    )
    tensor = ToTorch(layout="csr")(matrix)
    filled = np.empty((rows, genes), np.float32)
    to_torch = ToTorch()
    return {
        "ToTorch": lambda: to_torch(matrix),
        "scipy toarray": matrix.toarray,
        "torch to_dense": tensor.to_dense,
        "np.fill": lambda: filled.fill(1),
        "libc memset": lambda: ctypes.memset(filled.ctypes.data, 0, filled.nbytes),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--rows", type=int, default=1_024)
    parser.add_argument("--genes", type=int, default=62_710)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Sparse", UserWarning)
    kept = results.Results("dense", options)
    measured = ways(options.rows, options.genes)
    rates: dict[str, list[float]] = {name: [] for name in measured}
    for round_ in range(options.rounds + 1):
        for name, way in measured.items():
            start = perf_counter()
            way()
            if round_:  # the first compiles, and takes memory from the system
                rates[name].append(options.rows / (perf_counter() - start))
    table, row = "CSR to dense float32, rows/s", f"{options.rows:,} x {options.genes:,}"
    for name, found in rates.items():
        kept.add(table, row, name, rates=found)
        ratio = statistics.median(ours / other for ours, other in zip(rates["ToTorch"], found, strict=True))
        print(f"{name:16} {statistics.median(found):10,.0f} rows/s   ToTorch is {ratio:.2f} times as fast")  # noqa: T201
    print(kept.path)  # noqa: T201


if __name__ == "__main__":
    main()
