"""The Trainer of transformers: an iterable dataset, max_steps, a checkpoint in mid-epoch, and going on from it."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from scdataset import BlockShuffling, scDataset

folder, output, resume, num_workers = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "resume", int(sys.argv[4])


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.rows = []

    def forward(self, X):  # noqa: N803 the field's name
        self.rows.append(X[:, 0].int().tolist())
        return {"loss": self.layer(X / 1000).mean()}


class CellTrainer(Trainer):
    def get_train_dataloader(self):
        return DataLoader(self.train_dataset, batch_size=None, num_workers=num_workers)


class SaveProgress(TrainerCallback):
    def on_epoch_begin(self, args, state, control, **kwargs):
        self.first_step = state.global_step

    def on_save(self, args, state, control, **kwargs):
        progress = kwargs["model"].dataset.state_dict(state.global_step - self.first_step)
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / "data.json").write_text(json.dumps(progress))


def as_inputs(batch):
    return {"X": torch.from_numpy(batch)}


data = np.arange(400, dtype=np.float32).reshape(-1, 1)
model = Model()
dataset = scDataset(data, BlockShuffling(4), 8, 4, batch_transform=as_inputs, seed=5)
model.dataset = dataset
arguments = TrainingArguments(
    output_dir=str(output),
    max_steps=80,
    save_steps=9,
    ignore_data_skip=True,  # the dataset goes on by itself
    use_cpu=True,
    report_to=[],
    disable_tqdm=True,
    save_strategy="steps",
)
checkpoint = output / "checkpoint-63"
if resume:
    dataset.load_state_dict(json.loads((checkpoint / "data.json").read_text()))
trainer = CellTrainer(model=model, args=arguments, train_dataset=dataset, callbacks=[SaveProgress()])
trainer.train(resume_from_checkpoint=str(checkpoint) if resume else None)
found = {"rows": model.rows, "steps": trainer.state.global_step}
(folder / f"{os.environ['RANK']}.json").write_text(json.dumps(found))
