"""Short timed loops over a collection, each under one setting.

A trial is timed from the first batch of its first window to the first batch of a later one, so that it holds whole
windows: reading one, ahead of time where the collection allows it, and cutting batches from another.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from scdataset._cores import usable_cores
from scdataset._tables import counted, size
from scdataset._types import Json
from scdataset.dataset import scDataset
from scdataset.strategy.blocks import BlockShuffling

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["WARMING", "Bench", "Trial"]

WARMING = 3
"""Windows that are read before the first trial of their size: so many there are in memory at once."""


@runtime_checkable
class SharesThreads(Protocol):
    """A collection that reads with threads of its own."""

    @property
    def num_threads(self) -> int:
        """Threads that read and decode."""
        ...

    def share_threads(self, processes: int) -> None:
        """Divide the cores among ``processes`` workers."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting, and how fast it was.

    Attributes
    ----------
    block_size, fetch_factor
        As for `BlockShuffling` and `scDataset`.
    threads
        Threads of the collection; None where it has none of its own.
    rows_per_second
        Rows a second, in the fastest of its measurements: others were slowed by whatever else the machine did.
    share
        Expected entropy of labels in a batch, as a share of that in true random order.
    peak_bytes
        Memory that the loop is predicted to take, in bytes.
    """

    block_size: int
    fetch_factor: int
    threads: int | None
    rows_per_second: float
    share: float
    peak_bytes: int

    def __str__(self) -> str:
        return f"{counted(self.rows_per_second, 'row')} a second, {100 * self.share:.1f}%, {size(self.peak_bytes)}"

    def as_dict(self) -> Json:
        """Return the fields."""
        return asdict(self)


class Bench:
    """Measures settings of one collection, within a number of seconds in all.

    Parameters
    ----------
    collection
        As `scDataset` takes it.
    batch_size
        Rows in a batch.
    seconds
        Seconds for all measurements together.
    clock
        Returns seconds.
    """

    def __init__(
        self, collection: object, batch_size: int, seconds: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._collection = collection
        self._batch_size = batch_size
        self._clock = clock
        self._until = clock() + seconds
        self._n_measured = 0
        self._warmed = 0

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - self._clock()

    @property
    def thread_counts(self) -> list[int | None]:
        """Numbers of threads to try: all that the collection has, and half of them if it goes by the cores."""
        if not isinstance(self._collection, SharesThreads):
            return [None]
        threads = self._collection.num_threads
        return [threads, threads // 2] if threads == usable_cores() > 1 else [threads]

    def rate(self, block_size: int, fetch_factor: int, threads: int | None, seconds: float) -> float:
        """Return rows a second of one setting, over at least one window and about so many seconds."""
        self._n_measured += 1
        if threads is not None and isinstance(self._collection, SharesThreads):
            self._collection.share_threads(max(usable_cores() // threads, 1) if threads < self._all_threads else 1)
        dataset = scDataset(
            self._collection,
            BlockShuffling(block_size),
            self._batch_size,
            fetch_factor,
            drop_last=True,
            rank=0,
            world_size=1,
            seed=self._n_measured,  # other rows each time, as in training
        )
        try:
            if fetch_factor != self._warmed:
                self._warm(dataset)
            return self._timed(dataset, min(seconds, max(self.left, 0.0)))
        finally:
            if threads is not None and isinstance(self._collection, SharesThreads):
                self._collection.share_threads(1)

    @property
    def _all_threads(self) -> int:
        threads = self.thread_counts[0]
        return 1 if threads is None else threads

    def _warm(self, dataset: scDataset) -> None:
        """Read windows of a new size, whose memory those after them use again, as in training."""
        batches = cast("Generator[object, None, None]", iter(dataset))
        with closing(batches):
            for _ in islice(batches, WARMING * dataset.fetch_factor):
                pass
        self._warmed = dataset.fetch_factor

    def _timed(self, dataset: scDataset, seconds: float) -> float:
        batches = cast("Generator[object, None, None]", iter(dataset))
        with closing(batches):  # reading ahead stops
            next(batches)
            begun, n_batches, taken = self._clock(), 0, dataset.fetch_factor
            while taken == dataset.fetch_factor and (n_batches == 0 or self._clock() - begun < seconds):
                taken = sum(1 for _ in islice(batches, dataset.fetch_factor))
                n_batches += taken
            return n_batches * self._batch_size / max(self._clock() - begun, 1e-9)
