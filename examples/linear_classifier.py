"""Train a linear classifier of cell types, in ten lines from a file to an accuracy.

    python examples/linear_classifier.py [atlas.h5ad] [cell_type]

Without a file, an atlas of 3,000 cells is simulated.
"""

import sys
import tempfile
from pathlib import Path

import torch

from scdataset import BlockShuffling, Streaming, open_collection, scDataset
from scdataset.simulation import simulate_atlas
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch


def main(path: str | Path, label: str = "cell_type") -> None:
    """Train on nine cells of ten for four epochs, and print the accuracy on the others."""
    cells = open_collection(path, obs=[label])
    test = range(0, cells.n_obs, 10)
    train = [row for row in range(cells.n_obs) if row % 10]
    logs, tensors = Compose(NormalizeTotal(1e4), Log1p()), ToTorch()
    options = {"batch_size": 64, "fetch_factor": 16, "fetch_transform": logs, "batch_transform": tensors}
    batches = scDataset(cells, BlockShuffling(4, indices=train), seed=0, **options)
    model = torch.nn.Linear(cells.shape[1], len(cells.categories[label]))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for batch in (batch for _ in range(4) for batch in batches):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch["X"]), batch[label]).backward()
        optimizer.step()
    found = [model(batch["X"]).argmax(1) == batch[label] for batch in scDataset(cells, Streaming(test), **options)]
    print(f"accuracy on {len(test)} cells: {torch.cat(found).float().mean():.0%}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:]:
            main(*sys.argv[1:])
        else:
            main(
                simulate_atlas(
                    Path(folder) / "atlas.h5ad", n_cells=3_000, n_genes=500, genes_per_cell=120, progress=False
                )
            )
