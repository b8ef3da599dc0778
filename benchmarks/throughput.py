"""Rows a second through scDataset, beside the limit of the machine measured in the same run.

    python benchmarks/throughput.py [--media warm cold] [--formats plain gzip zarr zarr-plain] [--blocks 1 16 64 256]

Windows are 16,384 rows, batches 64 and 1,024; out comes CSR with a column of labels. Limits are those of `limits`. Warm
means read into the page cache before every measurement, cold forgotten by it; cold also measures batches of 64 without
announcing to the system which ranges come next. Plain files are also copied from a memory map.
"""

import argparse
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import page_cache
import results
from data import CONVERTED, HERE, add_options, make_store
from limits import WINDOW, Limit
from loops import skip
from peer_environments import Environments
from stored_arrays import is_encoded
from table import tables

from scdataset import BlockShuffling, open_collection, scDataset

SILENT = "batch 64, nothing announced"
MAPPED = "batch 1024, memory_map"
_FORGOTTEN = 0.01
"""Share of a store that may stay in the page cache for it to count as cold."""


def ours(
    path: Path,
    block_size: int,
    batch_size: int,
    skipped: int,
    count: int,
    *,
    announced: bool = True,
    memory_map: bool = False,
) -> float:
    """Return rows a second of iterating as a user would, once memory is used again rather than asked of the system."""
    with open_collection(path, obs=["cell_type"], memory_map=memory_map) as cells:
        if not announced:
            cells.announce = _say_nothing  # type: ignore[method-assign] # windows are still read ahead
        per_window = WINDOW // batch_size
        dataset = scDataset(cells, BlockShuffling(block_size), batch_size, per_window, drop_last=True, seed=0)
        batches = _endless(dataset)
        skip(batches, skipped * per_window)
        start, rows = time.perf_counter(), 0
        for batch in islice(batches, count * per_window):
            rows += len(batch)
        rate = rows / (time.perf_counter() - start)
        batches.close()
    return rate


def _endless(dataset: Any) -> Iterator[Any]:
    """Yield the batches of one epoch after the other, for data that are smaller than what is measured."""
    while True:
        yield from dataset


def _say_nothing(_: Any) -> None:
    """Stand in for announcing."""


def counts(n_cells: int, block_size: int, *, slow: bool, cold: bool) -> tuple[int, int]:
    """Return the windows to skip and to measure: fewer where they take long, and cold none a second time."""
    skip, count = (2, 3 if block_size == 1 else 5) if slow else (4, 10)
    if not cold:
        return skip, count
    whole = max(n_cells // WINDOW, 2)
    skip = min(skip // 2, whole - 1)
    return skip, min(count, whole - skip)


def measure_block(path: Path, block_size: int, medium: str, options: Namespace) -> dict[str, list[float]]:
    """Measure the limit and ours in turns, and return the rates of all rounds, and what was left in the page cache."""
    cold = medium == "cold"
    slow = path.is_dir() or is_encoded(path)
    skip, count = counts(options.cells, block_size, slow=slow, cold=cold)
    limit = Limit(path, block_size, count)
    measured: dict[str, Callable[[], float]] = {"limit": partial(limit.rate, announced=cold)}
    for batch_size in options.batches:
        measured[f"batch {batch_size}"] = partial(ours, path, block_size, batch_size, skip, count)
    if not cold and not is_encoded(path):
        measured[MAPPED] = partial(ours, path, block_size, 1024, skip, count, memory_map=True)
    if cold:
        measured[SILENT] = partial(ours, path, block_size, 64, skip, count, announced=False)
    rates: dict[str, list[float]] = {name: [] for name in (*measured, "cached")}
    for _ in range(options.cold_rounds if cold else options.rounds):
        for name, measure in measured.items():
            (page_cache.empty if cold else page_cache.warm)(path)
            rates["cached"].append(page_cache.share_cached(path))
            rates[name].append(measure())
    return rates


def keep(kept: results.Results, table: str, block_size: int, rates: dict[str, list[float]]) -> None:
    """Write down and print what was measured for a block size."""
    row, cached = f"block {block_size}", rates.pop("cached")
    for name, of_rounds in rates.items():
        against = None if name == "limit" else ("batch 64", SILENT) if name == SILENT else (name, "limit")
        ratio = {} if against is None else {"ratio": against}
        kept.add(table, row, name, rates=of_rounds, cached=cached, **ratio)
    medians = {name: statistics.median(of_rounds) for name, of_rounds in rates.items()}
    told = ", ".join(f"{name} {rate:,.0f} ({rate / medians['limit']:.2f})" for name, rate in medians.items())
    print(f"{table}, {row}: {told}", flush=True)  # noqa: T201
    worst = max(cached) if table.startswith("cold") else min(cached)
    if table.startswith("cold") and not worst <= _FORGOTTEN:
        kept.note(f"{table}, {row}: not cold, {worst:.0%} of the store stayed in the page cache (nan: cannot be told)")
    if table.startswith("warm") and worst < 1 - _FORGOTTEN:
        kept.note(f"{table}, {row}: not quite warm, {worst:.0%} of the store were in the page cache")


def main() -> None:
    """Measure, and print one table a medium and format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    results.add_options(parser)
    parser.add_argument("--media", nargs="+", default=["warm", "cold"], choices=["warm", "cold"])
    parser.add_argument("--formats", nargs="+", default=list(HERE), choices=[*HERE, "annbatch"])
    parser.add_argument("--cold-formats", nargs="+", default=["plain"], choices=[*HERE, "annbatch"])
    parser.add_argument("--blocks", nargs="+", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold-rounds", type=int, default=2)
    parser.add_argument("--python312", help="Python 3.12, to make the annbatch store")
    options = parser.parse_args()
    kept = results.Results("throughput", options)
    environments = Environments(options.data, options.python312)
    for medium in options.media:
        for kind in options.formats if medium == "warm" else options.cold_formats:
            path = make_store(kind, options.data, options.cells, environments)
            for block_size in options.blocks:
                table = f"{medium}, {kind}{'' if kind in CONVERTED or 'zarr' in kind else ' h5ad'}, rows/s"
                keep(kept, table, block_size, measure_block(path, block_size, medium, options))
    print("\n".join(tables(kept.measurements)), f"\n\n{kept.path}")  # noqa: T201


if __name__ == "__main__":
    main()
