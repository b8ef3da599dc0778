"""Settings that `tune` finds against the best of an exhaustive search, under the same limits of memory and diversity.

    python benchmarks/tuning.py FILE... [--batch-size 64] [--memory 1e9] [--diversity 0.99] [--seconds 80]

For each file: tune, within the seconds that it takes by itself; then every block size and fetch factor that are powers
of two and keep to the limits, and the setting that tune chose among them, in turns, so that a moment at which the
machine is busy hits all alike. After the first turn go on those that came near the best. Compared are medians. Two
files take under four minutes. On a busy machine the figures say nothing.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import results

from scdataset import BlockShuffling, open_collection, scDataset, tune
from scdataset.insight import diversity
from scdataset.insight.trials import Bench

Setting = tuple[int, int, int | None]
"""Block size, fetch factor and threads."""

TRIAL = 0.4
"""Seconds of a measurement, as in `tune`; a window at least."""

NEAR = 0.7
"""Settings whose first rate is a smaller part of the best are measured once."""

CLASSES = 16
"""Stretches of the file that are taken for classes, as in `tune` where there are no labels."""


def main() -> None:
    """Compare, and print a line a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--memory", type=float, default=1e9, help="bytes that the loop may take")
    parser.add_argument("--diversity", type=float, default=0.99)
    parser.add_argument("--seconds", type=float, default=80, help="of the exhaustive search of one file")
    options = parser.parse_args()
    kept = results.Results("tuning", options)
    for path in options.files:
        kept.note(compared(path, options, kept))


def compared(path: str, options: argparse.Namespace, kept: results.Results) -> str:
    """Measure one file, and return a line."""
    with open_collection(path) as cells:
        begun = time.perf_counter()
        limits = {"memory": int(options.memory), "diversity": options.diversity}
        tuned = tune(cells, options.batch_size, verbose=False, **limits)
        took = time.perf_counter() - begun
        chosen = tuned.block_size, tuned.fetch_factor, tuned.threads
        settings = [*(one for one in within(cells, options, tuned.threads) if one != chosen), chosen]
        rates = searched(cells, options, settings)
    medians = {setting: statistics.median(measured) for setting, measured in rates.items()}
    for (block, factor, threads), measured in rates.items():
        kept.add("exhaustive search", path, f"{block} x {factor}, {threads} threads", rates=measured)
    best = max((one for one in medians if len(rates[one]) > 1), key=medians.__getitem__, default=chosen)
    return (
        f"{path}: tune chose {chosen[:2]} in {took:.0f} s, {medians[chosen]:,.0f} rows a second, "
        f"{medians[chosen] / medians[best]:.0%} of the best of {len(medians)}, {best[:2]} with {medians[best]:,.0f}; "
        f"medians of {len(rates[chosen])} turns"
    )


def within(cells: Any, options: argparse.Namespace, threads: int | None) -> Iterator[Setting]:
    """Yield all settings that keep to the limits, and to the one of `tune`, that an epoch has two windows at least."""
    codes = np.arange(len(cells)) * CLASSES // len(cells)
    for factor in (2**k for k in range(2, 9) if 2 * 2**k * options.batch_size <= len(cells)):
        for block in (2**k for k in range(13)):
            enough = block == 1 or diversity(codes, block, factor, options.batch_size).share >= options.diversity
            if not enough or block > factor * options.batch_size // 2:
                break
            dataset = scDataset(cells, BlockShuffling(block), options.batch_size, factor, seed=0)
            if (dataset.explain().peak_bytes or 0) <= options.memory:
                yield block, factor, threads


def searched(cells: Any, options: argparse.Namespace, settings: list[Setting]) -> dict[Setting, list[float]]:
    """Return the rates of all settings, measured in turns."""
    bench = Bench(cells, options.batch_size, options.seconds)
    rates = {setting: [bench.rate(*setting, TRIAL)] for setting in settings}
    best = max(measured[0] for measured in rates.values())
    near = [setting for setting in settings if rates[setting][0] >= NEAR * best or setting == settings[-1]]
    while bench.left > 0:
        for setting in near:
            rates[setting].append(bench.rate(*setting, TRIAL))
    return rates


if __name__ == "__main__":
    main()
