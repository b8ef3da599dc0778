"""The method of a dataset that tells where its time goes."""

from typing import TYPE_CHECKING

from scdataset.dataset.monitor import Monitor
from scdataset.dataset.settings import Settings

if TYPE_CHECKING:
    from scdataset.insight.stats import LoaderStats

__all__ = ["Monitored"]


class Monitored(Settings):
    """Base of a dataset that counts the work of its iterations, once it is asked to."""

    _monitor: Monitor

    def stats(self) -> "LoaderStats":
        """Return where the time of the loop goes: reading, decoding, your hooks, or the model.

        Counting begins with the first call, which has nothing to tell yet, and goes on from there: call it before the
        loop, and in it or after it as often as you like. A loop that nobody asks about reads no clock. DataLoader
        workers count if they are started after the first call, and their counts are part of the result.

        Returns
        -------
        LoaderStats
            Figures with their units, and a verdict in words; print it. ``stats.since(earlier)`` are those of a part.

        Examples
        --------
        >>> import numpy as np
        >>> from scdataset import BlockShuffling, scDataset
        >>> dataset = scDataset(np.arange(100), BlockShuffling(4), batch_size=8, batch_transform=np.sqrt, seed=0)
        >>> dataset.stats().batches
        0
        >>> for batch in dataset:
        ...     pass
        >>> stats = dataset.stats()
        >>> stats.rows, stats.batches, list(stats.hooks)
        (100, 13, ['batch_transform'])
        """
        from scdataset.insight.stats import LoaderStats  # noqa: PLC0415 a room above this one

        self._monitor.begin()
        return LoaderStats.from_totals(self._monitor.totals(), self._hooks)
