"""Sets of cells from a perturbation screen: what is in them, and rows a second.

    python benchmarks/grouped.py [--cells 200000] [--perturbations 2000] [--set-size 32] [--data DIR] [--rounds 3]

The screen is made once: 5 % non-targeting controls, the other cells in groups of log-normal sizes, 8 batches, in an
h5ad file sorted by batch. It has two columns of perturbations over the same cells: ``gene``, in random order inside a
batch as sequenced, and ``gene_sorted``, sorted inside a batch. A set has as many controls, of the batches of its cells.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem, write_elem
from loops import skip
from numpy.typing import NDArray

from scdataset import BlockShuffling, GroupedSampling, SamplingStrategy, open_collection, scDataset
from scdataset.simulation import simulate_atlas

CONTROL = "non-targeting"
N_BATCHES = 8
WINDOW = 16_384
WARM_UP = 2


def make_screen(folder: Path, n_cells: int, n_perturbations: int) -> Path:
    """Return the file, made now where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"screen-{n_cells}-{n_perturbations}.h5ad"
    if path.exists():
        return path
    partial = path.with_suffix(".partial")
    simulate_atlas(partial, n_cells=n_cells, n_genes=8_000, genes_per_cell=1_000, n_donors=N_BATCHES, n_types=12)
    rng = np.random.default_rng(0)
    frequencies = rng.lognormal(0.0, 0.8, n_perturbations)
    frequencies = np.concatenate([[0.05], 0.95 * frequencies / frequencies.sum()])
    codes = rng.choice(frequencies.size, n_cells, p=frequencies)
    names = [CONTROL, *(f"gene_{i:05d}" for i in range(n_perturbations))]
    with h5py.File(partial, "r+") as file:
        obs = read_elem(file["obs"])
        obs["batch"] = obs["donor"]
        obs["gene"] = pd.Categorical.from_codes(codes, names)
        in_order = codes[np.lexsort((codes, obs["batch"].cat.codes))]
        obs["gene_sorted"] = pd.Categorical.from_codes(in_order, names)
        del file["obs"]
        write_elem(file, "obs", obs)
    partial.rename(path)
    return path


def contents(obs: pd.DataFrame, column: str, strategy: GroupedSampling, batch_size: int) -> str:
    """Check one epoch against the file's own columns, and describe it."""
    genes, batches = obs[column].cat.codes.to_numpy(), obs["batch"].cat.codes.to_numpy()
    control = obs[column].cat.categories.get_loc(CONTROL)
    dataset = scDataset(np.arange(len(obs)), strategy, batch_size, WINDOW // batch_size, seed=0)
    rows = np.concatenate(list(dataset)).reshape(-1, strategy.batch_unit)
    cells, controls = np.split(rows, [strategy.set_size], axis=1)
    pure = np.mean(np.all(genes[cells] == genes[cells[:, :1]], axis=1) & (genes[cells[:, 0]] != control))
    matched = np.mean((genes[controls] == control) & (batches[controls] == batches[cells]))
    times = np.bincount(cells.ravel(), minlength=len(obs))[genes != control]
    uses = np.bincount(controls.ravel(), minlength=len(obs))[genes == control]
    sizes = np.bincount(genes)
    sets = np.bincount(genes[cells[:, 0]], minlength=sizes.size)[(sizes > 0) & (np.arange(sizes.size) != control)]
    twice = np.mean([np.unique(row).size < row.size for row in controls])
    return (
        f"{len(rows)} sets, {sets.min()} to {sets.max()} a group; pure {pure:.4%}; controls matched {matched:.4%}, "
        f"{twice:.2%} of sets with one twice\n    cells seen: never {np.mean(times == 0):.2%}, once "
        f"{np.mean(times == 1):.2%}, at most {times.max()} times; controls used {uses.mean():.1f} "
        f"+- {uses.std():.1f} times, {uses.min()} to {uses.max()}"
    )


def rate(path: Path, column: str, strategy: SamplingStrategy, batch_size: int, n_windows: int) -> float:
    """Return rows a second of iterating as a user would, after a few windows."""
    with open_collection(path, obs=[column, "batch"]) as cells:
        batches = iter(scDataset(cells, strategy, batch_size, WINDOW // batch_size, seed=0))
        skip(batches, WARM_UP * (WINDOW // batch_size))
        start, rows = time.perf_counter(), 0
        for batch in islice(batches, n_windows * (WINDOW // batch_size)):
            rows += len(batch)
        taken = time.perf_counter() - start
        close(batches)
    return rows / taken


def close(batches: Iterator[Any]) -> None:
    """End what reads ahead."""
    batches.close()  # type: ignore[attr-defined]


def runs(strategy: SamplingStrategy, n_cells: int) -> tuple[float, float]:
    """Return distinct rows and runs of neighbours among them, each a row of the first windows."""
    order = strategy.order(n_cells, 0, 0)
    windows = [np.unique(order.rows(i * WINDOW, (i + 1) * WINDOW)) for i in range(4)]
    n_runs = sum(1 + int(np.count_nonzero(np.diff(rows) > 1)) for rows in windows)
    return sum(rows.size for rows in windows) / (4 * WINDOW), n_runs / (4 * WINDOW)


def order_rate(strategy: SamplingStrategy, n_cells: int) -> float:
    """Return rows a second of working out which rows come, without reading any."""
    order = strategy.order(n_cells, 0, 0)
    order.rows(0, WINDOW)
    start = time.perf_counter()
    n_rows = sum(order.rows(first, min(first + WINDOW, len(order))).size for first in range(0, len(order), WINDOW))
    return n_rows / (time.perf_counter() - start)


def strategies(obs: pd.DataFrame, column: str, set_size: int) -> dict[str, SamplingStrategy]:
    """Return what is timed against each other."""
    labels: dict[str, Any] = {"control": CONTROL, "match": obs["batch"], "remainder": "drop"}
    return {
        "BlockShuffling(1)": BlockShuffling(1),
        "sets in random order": GroupedSampling(obs[column], set_size, **labels),
        f"BlockShuffling({set_size})": BlockShuffling(set_size),
        f"sets in blocks of {set_size}": GroupedSampling(obs[column], set_size, block_size=set_size, **labels),
    }


def report_rates(path: Path, obs: pd.DataFrame, column: str, set_size: int, n_rounds: int) -> None:
    """Print rows a second under each strategy, and ratios."""
    timed = strategies(obs, column, set_size)
    n_windows = min(8, len(obs) // WINDOW - WARM_UP)
    rates: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(n_rounds):
        for name, strategy in timed.items():
            rates[name].append(rate(path, column, strategy, 2 * set_size, n_windows))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in middle.items():
        alone = order_rate(timed[name], len(obs))
        distinct, n_runs = runs(timed[name], len(obs))
        print(  # noqa: T201
            f"    {name:22} {value:10,.0f} rows/s   order alone {alone:12,.0f} rows/s   "
            f"distinct rows {distinct:.2f}, runs of neighbours {n_runs:.3f} a row"
        )
    rows, sets, blocks, set_blocks = middle.values()
    print(  # noqa: T201
        f"    random: sets / rows {sets / rows:.2f};  blocks: sets / blocks {set_blocks / blocks:.2f};  "
        f"sets: blocks / random {set_blocks / sets:.2f}"
    )


def columns_of(path: Path) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return obs, and the sizes of the perturbations."""
    with open_collection(path, obs=["batch", "gene", "gene_sorted"]) as cells:
        obs = cells.obs
    return obs, obs["gene"].value_counts().drop(CONTROL).to_numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--perturbations", type=int, default=2_000)
    parser.add_argument("--set-size", type=int, default=32)
    parser.add_argument("--data", type=Path, default=Path.home() / ".cache" / "scdataset" / "benchmarks")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    path = make_screen(options.data, options.cells, options.perturbations)
    obs, sizes = columns_of(path)
    print(f"{platform.platform()}, {len(os.sched_getaffinity(0))} cores")  # noqa: T201
    print(f"{len(obs)} cells, {sizes.size} perturbations of {sizes.min()} to {sizes.max()} cells")  # noqa: T201
    shared = {"control": CONTROL, "match": obs["batch"]}
    for name, given in {
        "proportional, pad": {},
        "proportional, drop": {"remainder": "drop"},
        "balanced, pad": {"balance": "balanced"},
    }.items():
        start = time.perf_counter()
        strategy = GroupedSampling(obs["gene"], options.set_size, **shared, **given)
        made = time.perf_counter() - start
        print(f"{name} (made in {made:.3f} s): {contents(obs, 'gene', strategy, 128)}", flush=True)  # noqa: T201
    for column in ("gene", "gene_sorted"):
        print(f"obs[{column!r}]")  # noqa: T201
        report_rates(path, obs, column, options.set_size, options.rounds)


if __name__ == "__main__":
    main()
