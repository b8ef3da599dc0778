"""Rows a second of two processes over one file, as two ranks, against one process with two threads.

Usage: python benchmarks/two_processes.py FILE.h5ad [windows]

Both read the same windows of 64 x 64 rows in the same order, the file being in the page cache: the whole number of
windows is read once before. Each rank is a process of its own with one thread; the time runs from when both are ready
until the last one is through.
"""

import itertools
import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from scdataset import BlockShuffling, open_collection, scDataset

BATCH_SIZE, FETCH_FACTOR = 64, 64


def read(path: Path, rank: int, world_size: int, threads: int, batches: int, together: Barrier) -> None:
    """Read a rank's batches when all are ready."""
    dataset = scDataset(
        open_collection(path, num_threads=threads),
        BlockShuffling(16),
        BATCH_SIZE,
        FETCH_FACTOR,
        rank=rank,
        world_size=world_size,
        seed=0,
    )
    next(iter(dataset))  # compiled code is loaded, and chunks are found
    dataset.set_epoch(0)
    together.wait()
    for _ in itertools.islice(dataset, batches // world_size):
        pass
    together.wait()


def rows_a_second(path: Path, world_size: int, threads: int, batches: int) -> float:
    """Return the rows that all ranks read in a second."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(world_size + 1)
    ranks = [
        context.Process(target=read, args=(path, rank, world_size, threads, batches, together))
        for rank in range(world_size)
    ]
    for rank in ranks:
        rank.start()
    together.wait()
    begun = time.perf_counter()
    together.wait()
    seconds = time.perf_counter() - begun
    for rank in ranks:
        rank.join()
    return batches * BATCH_SIZE / seconds


def main() -> None:
    """Measure both three times, in turn, and print the best of each and their ratio."""
    path, windows = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 16
    rows_a_second(path, 1, 2, windows * FETCH_FACTOR)
    alone, two = [], []
    for _ in range(3):
        alone.append(rows_a_second(path, 1, 2, windows * FETCH_FACTOR))
        two.append(rows_a_second(path, 2, 1, windows * FETCH_FACTOR))
    print(  # noqa: T201
        f"one process, two threads: {max(alone):,.0f} rows/s; two processes, one thread each: {max(two):,.0f} rows/s; "
        f"ratio {max(two) / max(alone):.2f}"
    )


if __name__ == "__main__":
    main()
