"""Streaming: rows in the order of the collection."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import flag
from scdataset.strategy.base import EpochOrder, SamplingStrategy
from scdataset.strategy.selection import Rows

__all__ = ["Streaming"]


@dataclass(frozen=True, slots=True)
class SequentialOrder:
    """Rows as they lie in the collection."""

    selected: Rows
    shuffles: bool

    def __len__(self) -> int:
        return self.selected.count

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        return self.selected.between(start, stop)


class Streaming(SamplingStrategy):
    """Rows in the order of the collection, for evaluation and prediction.

    Parameters
    ----------
    indices
        The rows that take part, as in `SamplingStrategy`.
    shuffle
        Shuffle rows inside each fetch window (``batch_size * fetch_factor`` rows), as a shuffle buffer does. Windows
        themselves still come in order.

    Examples
    --------
    >>> Streaming(indices=[10, 20, 30]).get_indices(range(100)).tolist()
    [10, 20, 30]
    """

    def __init__(self, indices: ArrayLike | range | None = None, shuffle: bool = False) -> None:  # noqa: FBT001, FBT002 the API that users have
        super().__init__(indices)
        if flag("shuffle", shuffle) or self._shuffle_before_yield is None:  # which a subclass may declare
            self.shuffle = shuffle

    @property
    def shuffle(self) -> bool:
        """Whether rows are shuffled inside each fetch window."""
        return bool(self._shuffle_before_yield)

    @shuffle.setter
    def shuffle(self, shuffle: bool) -> None:
        self._shuffle_before_yield = flag("shuffle", shuffle)
        self._forget()

    def __repr__(self) -> str:
        return f"Streaming({self._selection!r}, shuffle={self.shuffle})"

    def order(self, n_rows: int, seed: int, epoch: int) -> EpochOrder:  # noqa: ARG002 every epoch is alike
        """Return the order of one epoch, the same for every seed and epoch."""
        return SequentialOrder(self._selection.rows_of(n_rows), shuffles=self.shuffle)
