"""Train a classifier with Lightning, stop in the middle of an epoch, and go on from the checkpoint.

    pip install lightning
    python examples/lightning_resume.py

The file is a simulated atlas of 2,000 cells from four donors; one is held out for validation and one for test.
"""

import logging
import tempfile
import warnings
from pathlib import Path

import lightning.pytorch as pl
import torch

from scdataset.integrations.lightning import CellDataModule
from scdataset.simulation import simulate_atlas
from scdataset.transforms import Compose, Log1p, NormalizeTotal

QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Classifier(pl.LightningModule):
    """A linear classifier of cell types."""

    def __init__(self, n_genes: int, class_weights: torch.Tensor) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(n_genes, len(class_weights))
        self.loss = torch.nn.CrossEntropyLoss(class_weights)

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch."""
        return self.loss(self.layer(batch["X"]), batch["cell_type"])

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log how many cells of a batch are told right."""
        right = self.layer(batch["X"]).argmax(1) == batch["cell_type"]
        self.log("accuracy", right.float().mean(), batch_size=len(right))

    test_step = validation_step

    def predict_step(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the class of each cell, and which cell it is."""
        return {"row": batch["row"], "class": self.layer(batch["X"]).argmax(1)}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.Adam(self.parameters(), lr=2e-2)


def data_of(atlas: Path) -> CellDataModule:
    """Return the loaders of training, validation, test and prediction."""
    return CellDataModule(
        str(atlas),
        val={"donor": "donor_2"},
        test={"donor": "donor_3"},
        predict="all",
        label="cell_type",
        batch_size=32,
        fetch_transform=Compose(NormalizeTotal(1e4), Log1p()),
        seed=0,
    )


def main(folder: Path) -> None:
    """Train for a while, go on from the checkpoint, and predict."""
    simulate_atlas(
        folder / "atlas.h5ad", n_cells=2_000, n_genes=300, genes_per_cell=80, n_donors=4, n_types=4, progress=False
    )

    data = data_of(folder / "atlas.h5ad")
    model = Classifier(len(data.var_names), data.class_weights)
    every = pl.callbacks.ModelCheckpoint(folder, filename="{step}", every_n_train_steps=20, save_top_k=-1)
    stopped = pl.Trainer(max_steps=70, callbacks=[every], **QUIET)
    stopped.fit(model, datamodule=data)
    n_batches = len(data.train_dataloader())
    print(f"stopped after {stopped.global_step} batches, in epoch {70 // n_batches} of {n_batches} batches each")

    data = data_of(folder / "atlas.h5ad")  # as in a new process
    model = Classifier(len(data.var_names), data.class_weights)
    trainer = pl.Trainer(max_epochs=4, callbacks=[every], **QUIET)
    trainer.fit(model, datamodule=data, ckpt_path=folder / "step=60.ckpt")
    print(f"went on from batch 60 to {trainer.global_step}, which is {trainer.current_epoch} epochs")

    (scores,) = trainer.test(model, datamodule=data, verbose=False)
    predicted = trainer.predict(model, datamodule=data)
    rows = torch.cat([batch["row"] for batch in predicted])
    print(f"accuracy on the donor of test {scores['accuracy']:.0%}")
    print(f"predicted {len(rows)} cells, from row {rows[0]} to row {rows[-1]}")


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
