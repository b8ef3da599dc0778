"""The loader that Lightning iterates over: it counts batches, so that a checkpoint knows how many were trained on."""

import weakref
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from torch.utils.data import DataLoader

from scdataset.dataset import scDataset

__all__ = ["CellLoader"]


class Trainer(Protocol):
    """A Trainer of Lightning, as far as a loader asks it."""

    fit_loop: Any
    is_last_batch: bool
    reload_dataloaders_every_n_epochs: int


class CellLoader:
    """Batches of a dataset, by worker processes or without, with the state of an epoch that Lightning saves.

    It is no torch ``DataLoader``, so that Lightning neither takes it apart nor advises about its workers, and it loads
    the states of loaders with other workers and other devices.

    Parameters
    ----------
    dataset
        The dataset.
    options
        Keyword only. Arguments of torch's ``DataLoader``; without ``num_workers`` there is none.
    trains
        Keyword only. Whether epochs differ. If not, all are alike, with the same random numbers in transforms.
    trainer
        Keyword only. The Trainer whose loop takes the batches, or None.
    ignore
        Keyword only. Fields that may differ where a state is loaded, as in `scDataset.load_state_dict`.

    Attributes
    ----------
    source
        The dataset. Lightning warns of the length of any attribute called ``dataset``.
    trainer
        As given.
    """

    def __init__(
        self,
        dataset: scDataset,
        *,
        options: Mapping[str, Any],
        trains: bool,
        trainer: Trainer | None = None,
        ignore: Sequence[str] = (),
    ) -> None:
        self.source = dataset
        self.trainer = trainer
        self._options = dict(options)
        self._trains = trains
        self._ignore = ignore
        self._begin_at(0)

    def set_epoch(self, epoch: int) -> None:
        """Make ``epoch`` the next one."""
        self.source.set_epoch(epoch)
        self._begin_at(epoch)

    def _begin_at(self, epoch: int) -> None:
        self._epoch = self._next_epoch = epoch
        self._taken = 0
        self._loader: Iterable[object] | None = None
        self._running: weakref.WeakSet[Generator[object, None, None]] = weakref.WeakSet()

    @property
    def _n_workers(self) -> int:
        return int(self._options.get("num_workers", 0))

    @property
    def _repeats(self) -> bool:
        """Whether every epoch is the first: of evaluation, and where a few batches are overfitted on purpose."""
        return not self._trains or bool(getattr(self.trainer, "overfit_batches", 0))

    def __len__(self) -> int:
        """Return the number of batches of this device in an epoch, with those before a loaded state."""
        return len(self.source)

    def __iter__(self) -> Generator[Any, None, None]:
        """Return an iterator over the next epoch, which begins with its first batch."""
        batches = self._batches()
        self._running.add(batches)
        return batches

    def _batches(self) -> Generator[object, None, None]:
        if self._repeats:
            self._next_epoch = 0
        self._epoch, self._taken = self._next_epoch, 0
        self.source.set_epoch(self._epoch)
        self._next_epoch = self._epoch + 1
        if self._loader is None:
            self._loader = DataLoader(self.source, batch_size=None, **self._options) if self._n_workers else self.source
        for batch in self._loader:
            self._taken += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return how much was trained on, as `scDataset.state_dict` does."""
        epoch, taken = self._trained_on()
        return self.source.state_dict(taken, epoch=epoch, num_workers=self._n_workers)

    def _trained_on(self) -> tuple[int, int]:
        """Return the epoch, and the batches of it since this loader began that the model has seen.

        A checkpoint may be written while a batch is in the model, after an exception or a signal; that one comes again.
        An epoch may end before the data does, by ``limit_train_batches``; the next one then begins at its beginning.
        """
        if self.trainer is None:
            return self._epoch, self._taken
        seen = self.trainer.fit_loop.epoch_loop.batch_progress.current
        in_model = min(max(seen.ready - seen.processed, 0), self._taken)
        if self._taken and self.trainer.is_last_batch and not in_model:
            return self._next_epoch, 0
        return self._epoch, self._taken - in_model

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state in the next iteration; one that runs is ended.

        The rest of an epoch is shared out among the devices there are now. That epoch then differs in length from those
        after it, and Lightning keeps to the length it knows unless it loads the loader again for each epoch.
        """
        for batches in list(self._running):
            batches.close()
        self._begin_at(0)
        usual = len(self.source)
        self.source.load_state_dict(state, ignore=self._ignore)
        self._epoch = self._next_epoch = state["epoch"]
        if self.trainer is not None:
            if len(self.source) != usual:
                self.trainer.reload_dataloaders_every_n_epochs = 1
            if not state["chain"]:
                _tell_that_the_epoch_is_over(self.trainer, usual)


def _tell_that_the_epoch_is_over(trainer: Trainer, length: int) -> None:
    """Let Lightning know that an epoch whose last batch it saved after is over.

    It compares the batches it counted, on other devices perhaps, with ``length``, those on this one.
    """
    progress = trainer.fit_loop.epoch_loop.batch_progress
    if progress.is_last_batch:
        for step in ("ready", "started", "processed", "completed"):
            setattr(progress.current, step, max(getattr(progress.current, step), length))
