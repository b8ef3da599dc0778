"""Time and memory to the first batch of a collection of 1,000,000,000 rows, under every strategy.

The collection returns row numbers. Each strategy runs in a process of its own, after the same on a small collection, so
that loading compiled code is not counted: it does not depend on the number of rows. Labels (int16, 2 bytes a row) and
weights (uint8) are made before measuring and are kept as they are. Weighted rounds look at every row once a round.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import results

from scdataset import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, Streaming, scDataset

ROWS = 1_000_000_000

STRATEGIES: dict[str, Callable[[Any], Any]] = {
    "Streaming()": lambda _: Streaming(),
    "BlockShuffling(8)": lambda _: BlockShuffling(8),
    "BlockShuffling(1)": lambda _: BlockShuffling(1),
    "BlockWeightedSampling(8)": lambda _: BlockWeightedSampling(8),
    "BlockWeightedSampling, 1,000,000 a round": lambda _: BlockWeightedSampling(
        8, replace=False, sampling_size=1_000_000
    ),
    "BlockWeightedSampling, weighted rounds": lambda weights: BlockWeightedSampling(
        8, None, weights, replace=False, sampling_size=1_000_000
    ),
    "ClassBalancedSampling, 100 classes": lambda labels: ClassBalancedSampling(labels, 8),
}


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(name: str, n_rows: int) -> tuple[float, float, float]:
    """Return seconds to construct and to the first batch after it, and bytes of memory taken."""
    kind = np.int16 if "Class" in name else np.uint8
    given = np.resize(np.arange(1, 101, dtype=kind), n_rows) if "Class" in name or "weighted" in name else None
    before, start = resident(), time.perf_counter()
    dataset = scDataset(range(n_rows), STRATEGIES[name](given), batch_size=64, seed=0)
    assert len(dataset) == -(-n_rows // 64)
    constructed = time.perf_counter()
    batch = next(iter(dataset))
    taken = time.perf_counter() - constructed
    assert len(batch) == 64
    return constructed - start, taken, resident() - before


def measure_once_compiled(name: str, n_rows: int) -> tuple[float, float, float]:
    """Measure one strategy, after the same with fewer rows."""
    measure(name, min(n_rows, 10_000_000))
    return measure(name, n_rows)


def main() -> None:
    """Measure each strategy in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--rows", type=int, default=ROWS, help="at least 1,000,000")
    options = parser.parse_args()
    kept = results.Results("billion-rows", options)
    for name in STRATEGIES:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as process:
            constructed, taken, memory = process.submit(measure_once_compiled, name, options.rows).result()
        measured = {"constructed, s": constructed, "first batch, s": taken, "memory, MB": memory / 1e6}
        for column, value in measured.items():
            kept.add(f"{options.rows:,} rows", name, column, values=[value])
        print(  # noqa: T201
            f"{name:42} constructed in {constructed:.4f} s, first batch after {taken:.4f} s, {memory / 1e6:.1f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
