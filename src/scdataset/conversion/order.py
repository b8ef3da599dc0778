"""The order of source rows in the converted store."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset.strategy.blocks import ShuffledBlocks
from scdataset.strategy.keys import MAX_SEED, make_key
from scdataset.strategy.permutation import shuffled

__all__ = ["RowOrder"]

_WINDOW = 4096
"""Rows that are shuffled together after the blocks were; about as many as a shard holds, so that few are read twice."""

_EPOCH = MAX_SEED
"""No training reaches it, so that no epoch on the source has the order of a converted store."""


@dataclass(frozen=True, slots=True)
class RowOrder:
    """The order of rows: as selected, or shuffled by blocks and then by rows inside windows.

    Attributes
    ----------
    n_rows
        Number of rows.
    selected
        Rows of the source, shape ``(n_rows,)``; None for all.
    block_size, seed
        Of the shuffle; None for ``seed`` if the rows are not shuffled.
    """

    n_rows: int
    selected: NDArray[np.int64] | None = None
    block_size: int = 1
    seed: int | None = None

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows of the source at places [start, stop), shape ``(stop - start,)``."""
        places = np.arange(start, stop) if self.seed is None else self._shuffled(self.seed, start, stop)
        return places if self.selected is None else self.selected[places]

    def is_all_of(self, n_source_rows: int) -> bool:
        """Tell whether these are all rows of the source, in its order."""
        if self.seed is not None or self.n_rows != n_source_rows:
            return False
        return self.selected is None or np.array_equal(self.selected, np.arange(n_source_rows))

    @property
    def ascending(self) -> NDArray[np.int64]:
        """All rows of the source that take part, in the order in which they are read fastest."""
        return np.arange(self.n_rows) if self.selected is None else np.sort(self.selected)

    def _shuffled(self, seed: int, start: int, stop: int) -> NDArray[np.int64]:
        blocks = ShuffledBlocks.from_seed(self.n_rows, self.block_size, seed, _EPOCH)
        parts = [np.arange(0)]
        for number in range(start // _WINDOW, -(-stop // _WINDOW)):
            first = number * _WINDOW
            last = min(first + _WINDOW, self.n_rows)
            places = blocks.positions(first, last)[shuffled(last - first, make_key(seed, _EPOCH, "window", number))]
            parts.append(places[max(start - first, 0) : stop - first])
        return np.concatenate(parts)
