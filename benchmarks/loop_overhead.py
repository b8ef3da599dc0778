"""What the loop costs: scDataset against the same gather written as a bare numpy loop, in turns, in one process.

Batches of 64 from a float32 array of 1,000,000 x 32 under BlockShuffling(64), fetch_factor 256. The bare loops are
given the epoch's rows in their final order for nothing; scDataset works them out.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import results
from numpy.typing import NDArray

from scdataset import BlockShuffling, scDataset

BATCH, FETCH_FACTOR, ROUNDS = 64, 256, 15
WINDOW = BATCH * FETCH_FACTOR


def bare(gather: Callable[[NDArray[np.int64]], NDArray[np.float32]], rows: NDArray[np.int64]) -> Iterator[object]:
    """Yield batches of rows that are known beforehand."""
    for start in range(0, rows.size, WINDOW):
        window = gather(rows[start : start + WINDOW])
        for first in range(0, len(window), BATCH):
            yield window[first : first + BATCH]


def seconds(batches: Iterator[object]) -> float:
    """Exhaust ``batches`` and return how long it took."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    kept = results.Results("loop-overhead", parser.parse_args())
    data = np.random.default_rng(0).random((1_000_000, 32), dtype=np.float32)
    dataset = scDataset(data, BlockShuffling(64), BATCH, FETCH_FACTOR, seed=0)
    rows = np.concatenate(list(scDataset(np.arange(len(data)), BlockShuffling(64), BATCH, FETCH_FACTOR, seed=0)))
    times: dict[str, list[float]] = {"scDataset": [], "data[rows]": [], "data.take(rows, axis=0)": []}
    for _ in range(ROUNDS):
        times["scDataset"].append(seconds(iter(dataset)))
        times["data[rows]"].append(seconds(bare(data.__getitem__, rows)))
        times["data.take(rows, axis=0)"].append(seconds(bare(partial(data.take, axis=0), rows)))
    ours = times["scDataset"]
    for name, taken in times.items():
        ratio = statistics.median(bare_time / our_time for bare_time, our_time in zip(taken, ours, strict=True))
        rate = len(data) / statistics.median(taken)
        against = {} if name == "scDataset" else {"ratio": ("scDataset", name)}
        kept.add(
            "loop over an array in memory, rows/s",
            "1,000,000 x 32",
            name,
            rates=[len(data) / t for t in taken],
            **against,
        )
        print(f"{name:24} {rate / 1e6:6.1f} M rows/s   scDataset is {ratio:.2f} times as fast")  # noqa: T201


if __name__ == "__main__":
    main()
