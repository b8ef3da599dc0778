"""Train a classifier of scikit-learn on cells that stay on disk, batch by batch.

    pip install scikit-learn
    python examples/partial_fit.py

Donors of the test set are not among those of the training set. The file is a simulated atlas of 3,000 cells.
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GroupShuffleSplit

from scdataset import BlockShuffling, Streaming, open_collection, scDataset
from scdataset.simulation import simulate_atlas
from scdataset.transforms import Compose, Log1p, NormalizeTotal


def main(path: Path) -> None:
    """Fit for two epochs, and print the accuracy on cells of other donors."""
    cells = open_collection(path, obs=["cell_type"])
    donors = cells.obs_frame(["donor"])["donor"]
    split = GroupShuffleSplit(1, test_size=0.25, random_state=0)
    train, test = next(split.split(donors, groups=donors))
    options = {"batch_size": 256, "fetch_transform": Compose(NormalizeTotal(1e4), Log1p())}
    batches = scDataset(cells, BlockShuffling(4, indices=train), seed=0, **options)
    model = SGDClassifier(random_state=0)
    classes = np.arange(len(cells.categories["cell_type"]))
    for batch in (batch for _ in range(2) for batch in batches):
        model.partial_fit(batch["X"], batch["cell_type"], classes)  # takes CSR as it is
    held_out = scDataset(cells, Streaming(indices=test), **options)
    found = np.concatenate([model.predict(batch["X"]) == batch["cell_type"] for batch in held_out])
    print(f"accuracy on {found.size} cells of other donors: {found.mean():.0%}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        atlas = Path(folder) / "atlas.h5ad"
        main(simulate_atlas(atlas, n_cells=3_000, n_genes=500, genes_per_cell=120, progress=False))
