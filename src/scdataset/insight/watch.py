"""A training loop that shows its rate and its bottleneck while it runs."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from scdataset._arguments import positive
from scdataset._progress import live_bar
from scdataset.dataset import scDataset
from scdataset.errors import ArgumentTypeError
from scdataset.insight.stats import LoaderStats

__all__ = ["Watched", "dataset_of", "watch"]


def watch(loader: Any, *, every: float = 1.0, description: str = "Training") -> "Watched":
    """Show the rate of a loop over a loader and its bottleneck: in a terminal or notebook a bar, elsewhere the log.

    Parameters
    ----------
    loader
        A `scDataset`, a DataLoader over one, or a loader of `CellDataModule`.
    every
        Keyword only. Seconds between two updates of the bar, or two lines of the log.
    description
        Keyword only. Text before the bar.

    Returns
    -------
    Watched
        Gives the batches of the loader, and has its length. `scDataset.stats` tells more after the loop.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        If there is no `scDataset` in the loader, or ``every`` is no positive number.

    Notes
    -----
    Bars need the package rich, and in a notebook ipywidgets. Lines go to the log ``scdataset``, of level info.

    Examples
    --------
    >>> import numpy as np
    >>> from scdataset import Streaming, scDataset, watch
    >>> sum(len(batch) for batch in watch(scDataset(np.arange(10), Streaming(), 4)))
    10
    """
    return Watched(loader, every, description)


class Watched:
    """A loader whose batches are counted and timed as they are taken; made by `watch`."""

    def __init__(self, loader: Any, every: float, description: str) -> None:
        self.loader = loader
        self._dataset = dataset_of(loader)
        self._every = positive("every", every)
        self._description = description

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of the next epoch."""
        before = self._dataset.stats()
        total, remaining = len(self), self._dataset.remaining
        with live_bar(self._description, total, max(total - remaining, 0)) as show:
            shown, taken = time.monotonic(), 0
            for batch in self.loader:
                yield batch
                taken += 1
                now = time.monotonic()
                if now - shown >= self._every:
                    before = self._show(show, taken, before)
                    shown, taken = now, 0
            self._show(show, taken, before)

    def _show(self, show: Callable[[int, str], None], taken: int, before: LoaderStats) -> LoaderStats:
        """Bring the bar up to date, and return the figures until here."""
        stats = self._dataset.stats()
        part = stats.since(before)
        show(taken, part.headline)
        return stats if part.batches else before


def dataset_of(loader: object) -> scDataset:
    """Return the dataset that a loader iterates over.

    Raises
    ------
    ArgumentTypeError
        If it is none of ours.
    """
    for found in (loader, getattr(loader, "source", None), getattr(loader, "dataset", None)):
        if isinstance(found, scDataset):
            return found
    message = (
        f"The loader is a {type(loader).__qualname__} over no scDataset; give an scDataset, or "
        "DataLoader(dataset, batch_size=None) over one."
    )
    raise ArgumentTypeError(message)
