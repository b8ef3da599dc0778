"""A training script as users write it: DistributedDataParallel on gloo, a checkpoint each few steps."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, scDataset

folder, checkpoint, stop_after, num_workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
data = np.arange(1000, dtype=np.float32).reshape(-1, 1)
dataset = scDataset(data, BlockShuffling(4), batch_size=8, fetch_factor=4)
model = DistributedDataParallel(torch.nn.Linear(1, 1))
if checkpoint.exists():
    saved = torch.load(checkpoint)
    model.module.load_state_dict(saved["model"])
    dataset.load_state_dict(saved["data"])
rows = []
for k, batch in enumerate(DataLoader(dataset, batch_size=None, num_workers=num_workers), start=1):
    model(batch / 1000).mean().backward()  # ranks of unequal length would wait here for ever
    rows += batch[:, 0].int().tolist()
    if k == stop_after:
        if rank == 0:
            torch.save({"model": model.module.state_dict(), "data": dataset.state_dict(k)}, checkpoint)
        break
found = {"rows": rows, "seed": dataset.seed, "world": [dataset.rank, dataset.world_size], "env": os.environ["RANK"]}
(folder / f"{rank}.json").write_text(json.dumps(found))
torch.distributed.barrier()
torch.distributed.destroy_process_group()
