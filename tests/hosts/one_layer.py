"""A model of one layer for Lightning, and a trainer that writes nothing but checkpoints."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint


class OneLayer(pl.LightningModule):
    """Takes ``n_inputs`` columns, and notes what it is validated on."""

    def __init__(self, n_inputs):
        super().__init__()
        self.layer = torch.nn.Linear(n_inputs, 1)
        self.validated = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer_of(devices, checkpoints, every, **options):
    """Return a trainer of two epochs that saves every so many steps."""
    return pl.Trainer(
        accelerator="cpu",
        devices=devices,
        num_nodes=1,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=2,
        callbacks=[ModelCheckpoint(checkpoints, filename="{step}", every_n_train_steps=every, save_top_k=-1)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
