"""Time and memory to the first batch of a collection of 1,000,000,000 rows, under every strategy.

The collection returns row numbers. Each strategy runs in a process of its own, after the same on a small collection, so
that loading compiled code is not counted: it does not depend on the number of rows. The labels of ClassBalancedSampling
(int16, 2 bytes a row) are made before measuring and are kept as they are.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

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
    "ClassBalancedSampling, 100 classes": lambda labels: ClassBalancedSampling(labels, 8),
}


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(name: str, n_rows: int) -> tuple[float, float, float]:
    """Return seconds to construct and to the first batch after it, and bytes of memory taken."""
    labels = np.resize(np.arange(100, dtype=np.int16), n_rows) if "Class" in name else None
    before, start = resident(), time.perf_counter()
    dataset = scDataset(range(n_rows), STRATEGIES[name](labels), batch_size=64, seed=0)
    assert len(dataset) == -(-n_rows // 64)
    constructed = time.perf_counter()
    batch = next(iter(dataset))
    taken = time.perf_counter() - constructed
    assert len(batch) == 64
    return constructed - start, taken, resident() - before


def report(name: str) -> None:
    """Measure one strategy and print a line."""
    measure(name, 10_000_000)
    constructed, taken, memory = measure(name, ROWS)
    print(  # noqa: T201
        f"{name:42} constructed in {constructed:.4f} s, first batch after {taken:.4f} s, {memory / 1e6:.1f} MB"
    )


def main() -> None:
    """Measure each strategy in a process of its own."""
    for name in STRATEGIES:
        process = multiprocessing.get_context("fork").Process(target=report, args=(name,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
