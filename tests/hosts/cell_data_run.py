"""CellDataModule: fit, predict, a checkpoint in mid-epoch, and going on from it; on one device or two."""

import json
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from scdataset.integrations.lightning import CellDataModule

folder, devices, max_steps, step, file, checkpoints = Path(sys.argv[1]), *map(int, sys.argv[2:5]), *sys.argv[5:]
warnings.filterwarnings("ignore")


class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(12, 1)
        self.trained, self.validated = [], []

    def training_step(self, batch, batch_idx):
        self.trained.append(batch["number"].tolist())
        return self.layer(batch["X"]).mean()

    def validation_step(self, batch, batch_idx):
        self.validated += batch["number"].tolist()

    def predict_step(self, batch, batch_idx):
        return batch["row"].tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


data = CellDataModule(
    file,
    val={"donor": "D4"},
    predict="all",
    batch_size=4,
    fetch_factor=2,
    block_size=2,
    open_options={"obs": ["number"]},
)
model = Model()
trainer = pl.Trainer(
    accelerator="cpu",
    devices=devices,
    num_nodes=1,
    strategy="ddp" if devices > 1 else "auto",
    max_epochs=2,
    max_steps=max_steps,
    callbacks=[ModelCheckpoint(checkpoints, filename="{step}", every_n_train_steps=5, save_top_k=-1)],
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, datamodule=data, ckpt_path=str(Path(checkpoints, f"step={step}.ckpt")) if step else None)
predicted = trainer.predict(model, datamodule=data)
found = {"trained": model.trained, "validated": model.validated, "predicted": predicted}
found |= {"steps": trainer.global_step, "epoch": trainer.current_epoch}
(folder / f"{trainer.global_rank}.json").write_text(json.dumps(found))
