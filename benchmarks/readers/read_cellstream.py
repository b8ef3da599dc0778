"""Batches of cellstream's own store.

It reads rows and has no loop, so the loop is here, written in the three ways that its reader allows: a window at once
in as many threads as cores and batches cut from it, a batch at a time, or batches in a pool of threads. A window is
read in each way first, and the fastest is measured.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cellstream
import numpy as np
from clock import BATCH, WINDOW, arguments, report
from numpy.typing import NDArray

THREADS = len(os.sched_getaffinity(0))


def _windows(n_rows: int, block: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of an epoch: blocks in random order, rows shuffled inside each window."""
    firsts = rng.permutation(np.arange(0, n_rows, block))
    rows = (firsts[:, None] + np.arange(block)).ravel()
    rows = rows[rows < n_rows]
    for start in range(0, n_rows, WINDOW):
        yield rng.permutation(rows[start : start + WINDOW])


def _cut(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + BATCH] for start in range(0, rows.size, BATCH)]


def _by_window(store: Any, rows: NDArray[np.int64]) -> Iterator[Any]:
    window = store.gather_rows(rows, n_threads=THREADS)
    for start in range(0, rows.size, BATCH):
        yield window[start : start + BATCH]


def _by_batch(store: Any, rows: NDArray[np.int64]) -> Iterator[Any]:
    for batch in _cut(rows):
        yield store.gather_rows(batch)


def _by_batch_in_threads(threads: ThreadPoolExecutor, store: Any, rows: NDArray[np.int64]) -> Iterator[Any]:
    yield from threads.map(store.gather_rows, _cut(rows))


def _fastest(ways: dict[str, Callable[[Any, NDArray[np.int64]], Iterator[Any]]], store: Any, block: int) -> str:
    seconds = {}
    for name, way in ways.items():
        windows = _windows(store.n_obs, block, np.random.default_rng(1))
        list(way(store, next(windows)))
        start = time.perf_counter()
        list(way(store, next(windows)))
        seconds[name] = time.perf_counter() - start
    return min(seconds, key=seconds.__getitem__)


def main() -> None:
    """Measure."""
    warnings.simplefilter("ignore")
    asked = arguments()
    store = cellstream.open(asked.path)
    labels = store.obs["cell_type"].cat.codes.to_numpy()
    rng = np.random.default_rng(0)
    with ThreadPoolExecutor(THREADS) as threads:
        ways: dict[str, Callable[[Any, NDArray[np.int64]], Iterator[Any]]] = {
            "windows": _by_window,
            "batches": _by_batch,
            "batches in threads": partial(_by_batch_in_threads, threads),
        }
        way = _fastest(ways, store, asked.block)

        def epoch() -> Iterator[tuple[Any, Any]]:
            for rows in _windows(store.n_obs, asked.block, rng):
                yield from zip(ways[way](store, rows), _cut(labels[rows]), strict=True)

        report(epoch, lambda batch: batch[0].shape[0], asked.skip, asked.count, way=way)


if __name__ == "__main__":
    main()
