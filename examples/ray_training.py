"""Train a classifier with Ray Train, in this process, or by workers on a cluster, from where it stopped.

    pip install 'ray[data,train]>=2.60'
    python examples/ray_training.py
    python examples/ray_training.py --workers 8 --cpus 12 --gpu --data /shared/atlas.h5ad --storage /shared/runs

Run again with the same storage, it goes on from its last checkpoint, with another number of workers if you like. Data
are a simulated atlas of 2,000 cells unless you give your own, which every node has to see under the same path.
"""

import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device, prepare_model

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.integrations.ray import prepare, report, restore
from scdataset.simulation import simulate_atlas
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch


def make(path: str) -> scDataset:
    """Open the cells on a worker."""
    return scDataset(
        open_collection(path, obs=["cell_type"]),
        BlockShuffling(block_size=16),
        batch_size=64,
        fetch_factor=16,
        fetch_transform=Compose(NormalizeTotal(1e4), Log1p()),
        batch_transform=ToTorch(),
        seed=0,
    )


def train(config: dict[str, Any]) -> None:
    """Train one worker's part of each epoch, and report ten times in each."""
    dataset = prepare(lambda: make(config["path"]))
    cells, device = dataset.collection, get_device()
    model = prepare_model(torch.nn.Linear(cells.n_vars, len(cells.categories["cell_type"])))
    optimizer = torch.optim.Adam(model.parameters())
    saved = {"model": model, "optimizer": optimizer}
    for epoch in range(restore(dataset, **saved), config["epochs"]):
        every = max(len(dataset) // 10, 1)
        for step, batch in enumerate(dataset, start=1):
            loss = torch.nn.functional.cross_entropy(model(batch["X"].to(device)), batch["cell_type"].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % every == 0:
                report({"epoch": epoch, "loss": loss.item()}, dataset, **saved)


def main() -> None:
    """Train, and print what was reported last."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=0, help="processes on the cluster; 0 for this one alone")
    parser.add_argument("--cpus", type=int, default=1, help="cores of each, with which it reads")
    parser.add_argument("--gpu", action="store_true", help="give each a GPU")
    parser.add_argument("--data", help="cells with a column cell_type, under a path that all nodes see")
    parser.add_argument("--storage", help="folder or bucket for checkpoints, which all nodes see")
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.data or str(simulate_atlas(Path(folder) / "atlas.h5ad", n_cells=2000))
        trainer = TorchTrainer(
            train,
            train_loop_config={"path": path, "epochs": options.epochs},
            scaling_config=ScalingConfig(
                num_workers=options.workers, use_gpu=options.gpu, resources_per_worker={"CPU": options.cpus}
            ),
            run_config=RunConfig(
                name="cells", storage_path=options.storage or folder, failure_config=FailureConfig(max_failures=3)
            ),
        )
        print(trainer.fit().metrics)


if __name__ == "__main__":
    main()
