"""CellDataModule: fit, predict, a checkpoint in mid-epoch, and going on from it; on one device or two."""

import json
import sys
import warnings
from pathlib import Path

from one_layer import OneLayer, trainer_of

from scdataset.integrations.lightning import CellDataModule

folder, devices, max_steps, step, file, checkpoints = Path(sys.argv[1]), *map(int, sys.argv[2:5]), *sys.argv[5:]
warnings.filterwarnings("ignore")


class Model(OneLayer):
    def __init__(self):
        super().__init__(12)
        self.trained = []

    def training_step(self, batch, batch_idx):
        self.trained.append(batch["number"].tolist())
        return self.layer(batch["X"]).mean()

    def validation_step(self, batch, batch_idx):
        self.validated += batch["number"].tolist()

    def predict_step(self, batch, batch_idx):
        return batch["row"].tolist()


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
trainer = trainer_of(devices, checkpoints, 5, max_steps=max_steps)
trainer.fit(model, datamodule=data, ckpt_path=str(Path(checkpoints, f"step={step}.ckpt")) if step else None)
predicted = trainer.predict(model, datamodule=data)
found = {"trained": model.trained, "validated": model.validated, "predicted": predicted}
found |= {"steps": trainer.global_step, "epoch": trainer.current_epoch}
(folder / f"{trainer.global_rank}.json").write_text(json.dumps(found))
