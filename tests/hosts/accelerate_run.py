"""Accelerate: the way that is right, and what is said to the way that is not."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, LoaderError, scDataset

folder = Path(sys.argv[1])
data = np.arange(400, dtype=np.float32).reshape(-1, 1)
dataset = scDataset(data, BlockShuffling(4), batch_size=8, fetch_factor=4, seed=5)
accelerator = Accelerator(cpu=True)
model = accelerator.prepare(torch.nn.Linear(1, 1))
loader = DataLoader(dataset, batch_size=None)
rows = []
for batch in loader:
    accelerator.backward(model(batch.to(accelerator.device) / 1000).mean())
    rows += batch[:, 0].int().tolist()
said = ""
if accelerator.is_main_process:  # which would cut up its own half and send the pieces round
    try:
        said = sum(len(batch) for batch in accelerator.prepare_data_loader(loader))
    except LoaderError as error:
        said = str(error)
(folder / f"{accelerator.process_index}.json").write_text(json.dumps({"rows": rows, "said": said}))
