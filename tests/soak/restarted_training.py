"""Train the demo's classifier on two processes, then one, then three, and compare with training that went through.

Usage: python tests/soak/restarted_training.py [seeds]

The restarted training stops in the middle of the first epoch on two processes, again on one, and ends the two epochs on
three. Prints the accuracy of both for each seed, and ends with an error if a cell of the training set was missed.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from torch.nn.parallel import DistributedDataParallel

from scdataset import BlockShuffling, Streaming, open_collection, scDataset
from scdataset.cli._demo_training import normalised
from scdataset.simulation import simulate_atlas

CELLS, GENES, EPOCHS = 12_000, 500, 2


def with_rows(cells):
    """Make expression dense and normalised, beside the codes of the labels."""
    return torch.from_numpy(normalised(cells["X"]).toarray()), torch.from_numpy(cells["cell_type"].astype(np.int64))


def train(folder, stop_after):
    """Train on one rank until so many batches or the end, and save model and state; it is run by torchrun."""
    torch.distributed.init_process_group("gloo")
    torch.set_num_threads(1)
    rank, checkpoint = torch.distributed.get_rank(), folder / "checkpoint.pt"
    cells = open_collection(folder / "atlas.h5ad", obs=["cell_type"])
    indices, seed = np.arange(CELLS) % 5 > 0, int((folder / "seed").read_text())
    dataset = scDataset(cells, BlockShuffling(8, indices), 64, 16, batch_transform=with_rows, seed=seed)
    torch.manual_seed(seed)
    model = DistributedDataParallel(torch.nn.Linear(GENES, len(cells.categories["cell_type"])))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    epoch = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        dataset.load_state_dict(saved["data"])
        epoch = saved["data"]["epoch"]
    seen = 0
    while epoch < EPOCHS and seen != stop_after:
        for expression, codes in dataset:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(expression), codes).backward()
            optimiser.step()
            seen += 1
            if seen == stop_after:
                break
        epoch = dataset.state_dict()["epoch"]
    if rank == 0:
        torch.save(
            {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "data": dataset.state_dict()}, checkpoint
        )
        (folder / "accuracy").write_text(json.dumps(accuracy(model.module, cells, indices)))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@torch.no_grad()
def accuracy(model, cells, indices):
    """Return the share of the other cells that the model names rightly."""
    test = scDataset(cells, Streaming(~indices), 256, 8, batch_transform=with_rows, rank=0, world_size=1, seed=0)
    right = [(model(expression).argmax(1) == codes) for expression, codes in test]
    return torch.cat(right).float().mean().item()


def launch(folder, processes, stop_after):
    """Run this file on so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    subprocess.run([*command, __file__, str(folder), str(stop_after)], check=True, capture_output=True)
    return json.loads((folder / "accuracy").read_text())


def coverage():
    """Count the cells of an epoch that goes through the same restarts, by the states alone."""
    counts, state = Counter(), None
    for world_size, stop_after in [(2, 40), (1, 30), (3, None)]:
        ranks = [
            scDataset(np.arange(CELLS), BlockShuffling(8), 64, 16, rank=rank, world_size=world_size, seed=0)
            for rank in range(world_size)
        ]
        for rank in ranks:
            if state is not None:
                rank.load_state_dict(state)
        for rank in ranks:
            batches = iter(rank)
            for _ in range(len(rank) if stop_after is None else stop_after):
                counts.update(next(batches, np.empty(0, np.int64)).tolist())
        state = ranks[0].state_dict()
    assert set(counts) == set(range(CELLS))
    return counts.total() - CELLS


def main(seeds):
    """Train both ways for each seed, and print the accuracies."""
    print(f"cells that came twice after 2, 1 and 3 ranks: {coverage()} of {CELLS}, none was missed")  # noqa: T201
    for seed in range(seeds):
        found = {}
        for name, chain in {"through": [(2, -1)], "restarted": [(2, 40), (1, 30), (3, -1)]}.items():
            with tempfile.TemporaryDirectory() as folder:
                simulate_atlas(
                    Path(folder) / "atlas.h5ad",
                    n_cells=CELLS,
                    n_genes=GENES,
                    genes_per_cell=100,
                    seed=1,
                    progress=False,
                )
                (Path(folder) / "seed").write_text(str(seed))
                for processes, stop_after in chain:
                    found[name] = launch(Path(folder), processes, stop_after)
        print(f"seed {seed}: accuracy {found}", flush=True)  # noqa: T201


if __name__ == "__main__":
    if "RANK" in os.environ:
        train(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
