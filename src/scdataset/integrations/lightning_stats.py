"""Figures of `scDataset.stats` in the logs of Lightning's Trainer."""

from typing import Any

from scdataset._arguments import whole
from scdataset.dataset import scDataset  # noqa: TC001 as in the other modules
from scdataset.errors import ArgumentTypeError
from scdataset.insight.stats import LoaderStats
from scdataset.insight.watch import dataset_of
from scdataset.integrations.lightning_hosts import base_of

__all__ = ["StatsLogger"]

_Callback: Any = base_of("Callback")


class StatsLogger(_Callback):  # type: ignore[misc]  # typed by the package that is installed
    """A callback that logs where the time of training goes: `LoaderStats.as_dict`, each under ``data/``.

    Loaders that are no `scDataset`, and no loader over one, are left alone.

    Parameters
    ----------
    every_n_batches
        Batches between two entries, of which each tells of the batches since the one before.

    Examples
    --------
    >>> trainer = Trainer(callbacks=[StatsLogger()], logger=TensorBoardLogger("logs"))  # doctest: +SKIP
    """

    def __init__(self, every_n_batches: int = 50) -> None:
        super().__init__()
        self._every = whole("every_n_batches", every_n_batches, minimum=1)
        self._dataset: scDataset | None = None
        self._before = LoaderStats()

    def on_train_start(self, trainer: Any, pl_module: object) -> None:  # noqa: ARG002 as Lightning calls it
        """Begin to count."""
        try:
            self._dataset = dataset_of(trainer.train_dataloader)
        except ArgumentTypeError:
            self._dataset = None
            return
        self._before = self._dataset.stats()

    def on_train_batch_end(
        self,
        trainer: Any,
        pl_module: object,  # noqa: ARG002 as Lightning calls it
        outputs: object,  # noqa: ARG002 as above
        batch: object,  # noqa: ARG002 as above
        batch_idx: int,
    ) -> None:
        """Log the figures since the last entry."""
        if self._dataset is None or (batch_idx + 1) % self._every or not trainer.loggers:
            return
        stats = self._dataset.stats()
        figures = {f"data/{name}": value for name, value in stats.since(self._before).as_dict().items()}
        self._before = stats
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
