"""What a classifier learns in one epoch, by block size: accuracy on cells that it has not seen, against D.

    python benchmarks/learning_curve.py [--cells 100000] [--genes 2000] [--seeds 3]

A linear classifier of cell types, trained for one epoch on four of five cells of a simulated atlas that is sorted by
donor and by cell type, as files are: in blocks of several sizes, and in the order of the file. Batches of 64 from
windows of ``--fetch-factor`` batches. D = 1 + (b - 1) / f is what blocks cost in the entropy of a batch, in units of
what true random order costs. Seeds change the order and the first weights; the split stays.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import results
import torch

from scdataset import BlockShuffling, SamplingStrategy, Streaming, open_collection, scDataset
from scdataset.simulation import simulate_atlas
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch

BLOCKS = (1, 4, 16, 64, 256, 1024, 4096)
BATCH = 64
TABLE = "accuracy after one epoch"


class Experiment:
    """An atlas, and its split."""

    def __init__(self, path: Path, fetch_factor: int) -> None:
        self.cells: Any = open_collection(path, obs=["cell_type"])
        self.fetch_factor = fetch_factor
        is_test = np.random.default_rng(0).random(len(self.cells)) < 0.2
        self.train, self.test = np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def batches(self, strategy: SamplingStrategy, seed: int) -> scDataset:
        """Return normalised batches in an order."""
        normalised = Compose(NormalizeTotal(1e4), Log1p())
        options = {"fetch_transform": normalised, "batch_transform": ToTorch(), "seed": seed}
        return scDataset(self.cells, strategy, BATCH, self.fetch_factor, **options)

    def accuracy(self, strategy: SamplingStrategy, seed: int) -> float:
        """Train for an epoch in an order, and return the share of test cells that are told right."""
        torch.manual_seed(seed)
        model = torch.nn.Linear(self.cells.n_vars, len(self.cells.categories["cell_type"]))
        optimizer = torch.optim.Adam(model.parameters())
        for batch in self.batches(strategy, seed):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch["X"]), batch["cell_type"]).backward()
            optimizer.step()
        with torch.no_grad():
            testing = self.batches(Streaming(self.test), seed)
            right = [model(batch["X"]).argmax(1) == batch["cell_type"] for batch in testing]
        return torch.cat(right).float().mean().item()


def main() -> None:
    """Train in every order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fetch-factor", type=int, default=64)
    results.add_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)  # enough for so small a model
    path = options.data / f"learning-{options.cells}-{options.genes}.h5ad"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        simulate_atlas(path, n_cells=options.cells, n_genes=options.genes, genes_per_cell=options.genes // 10)
    experiment = Experiment(path, options.fetch_factor)
    orders: dict[str, SamplingStrategy] = {str(size): BlockShuffling(size, experiment.train) for size in BLOCKS}
    found = results.Results("learning-curve", options)
    for name, strategy in {**orders, "order of the file": Streaming(experiment.train)}.items():
        d = 1 + (int(name) - 1) / options.fetch_factor if name in orders else None
        values = [experiment.accuracy(strategy, seed) for seed in range(options.seeds)]
        found.add(TABLE, name, "accuracy", values=values, d=d)
        shown = "" if d is None else f", D = {d:.2f}"
        print(f"{name}{shown}: {statistics.median(values):.3f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
