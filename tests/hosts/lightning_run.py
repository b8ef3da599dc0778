"""Lightning: fit, validate, a checkpoint in mid-epoch, and going on from it; on one process or two."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from one_layer import OneLayer, trainer_of
from torchdata.stateful_dataloader import StatefulDataLoader

from scdataset import BlockShuffling, Streaming, scDataset

folder, devices, num_workers, max_steps, resume = Path(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5] == "resume"
checkpoints = Path(sys.argv[6])
warnings.filterwarnings("ignore")


class Model(OneLayer):
    def __init__(self):
        super().__init__(1)
        self.rows = []
        train, test = (np.arange(n, dtype=np.float32).reshape(-1, 1) for n in (400, 60))
        # Made before the process group is there, and once: a dataset counts its epochs.
        self.train_dataset = scDataset(train, BlockShuffling(4), batch_size=8, fetch_factor=4, seed=5)
        self.val_dataset = scDataset(test, Streaming(), batch_size=8, fetch_factor=4, seed=5)

    def training_step(self, batch, batch_idx):
        batch = torch.as_tensor(batch)
        self.rows.append(batch[:, 0].int().tolist())
        return self.layer(batch / 1000).mean()

    def validation_step(self, batch, batch_idx):
        self.validated += torch.as_tensor(batch)[:, 0].int().tolist()

    def train_dataloader(self):
        if num_workers == 0:
            return self.train_dataset
        return StatefulDataLoader(self.train_dataset, batch_size=None, num_workers=num_workers)

    def val_dataloader(self):
        return self.val_dataset


model = Model()
trainer = trainer_of(
    devices,
    checkpoints,
    9,
    max_steps=max_steps,
    reload_dataloaders_every_n_epochs=1,  # the length of an epoch is asked for anew
)
trainer.fit(model, ckpt_path=str(checkpoints / "step=9.ckpt") if resume else None)
found = {"rows": model.rows, "validated": model.validated, "steps": trainer.global_step, "epoch": trainer.current_epoch}
(folder / f"{trainer.global_rank}.json").write_text(json.dumps(found))
