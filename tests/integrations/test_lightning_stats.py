"""Figures of the loader in the logs of a Trainer."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, scDataset
from scdataset.errors import ArgumentValueError

HOSTS = [name for name in ("lightning.pytorch", "pytorch_lightning") if find_spec(name.partition(".")[0])]
pytestmark = [
    pytest.mark.skipif(not HOSTS, reason="neither lightning nor pytorch_lightning is installed"),
    pytest.mark.filterwarnings("ignore::FutureWarning:(lightning|pytorch_lightning)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(lightning|pytorch_lightning)"),
    pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:Your .IterableDataset. has .__len__. defined"),
]


def logged(name, loader, every):
    """Fit an epoch and return what a logger got."""
    host = pytest.importorskip(name)
    from scdataset.integrations.lightning import StatsLogger

    class Model(host.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def training_step(self, batch, _):
            return self.layer(batch).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    class Memory(sys.modules[name].loggers.logger.DummyLogger):
        def __init__(self):
            super().__init__()
            self.entries = []

        def log_metrics(self, metrics, step=None):
            self.entries.append((step, metrics))

    memory = Memory()
    trainer = host.Trainer(
        max_epochs=1, accelerator="cpu", devices=1, callbacks=[StatsLogger(every)], logger=memory,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(Model(), loader)
    return [(step, metrics) for step, metrics in memory.entries if "data/rows" in metrics]


def rows(metrics):
    return metrics["data/rows"]


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_each_entry_tells_of_the_batches_since_the_one_before(name, wrapped):
    data = np.ones((80, 3), np.float32)
    dataset = scDataset(data, BlockShuffling(4), 8, seed=0, batch_transform=torch.from_numpy)
    loader = DataLoader(dataset, batch_size=None) if wrapped else dataset
    entries = logged(name, loader, 4)
    assert [step for step, _ in entries] == [4, 8]
    assert abs(sum(rows(metrics) for _, metrics in entries) - 64) <= 8  # Lightning takes a batch ahead
    assert all(metrics["data/hook_batch_transform"] > 0 for _, metrics in entries)


def test_loaders_of_others_are_left_alone():
    data = torch.utils.data.TensorDataset(torch.ones(16, 3))
    loader = DataLoader(data, batch_size=4, collate_fn=lambda rows: torch.stack([row for (row,) in rows]))
    assert logged(HOSTS[0], loader, 1) == []


def test_a_number_of_batches_that_is_none_is_refused():
    from scdataset.integrations.lightning import StatsLogger

    with pytest.raises(ArgumentValueError, match="every_n_batches"):
        StatsLogger(0)
