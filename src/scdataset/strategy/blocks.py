"""BlockShuffling: blocks of neighbouring rows in random order."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import flag, whole
from scdataset._compiled import compiled
from scdataset.strategy.base import EpochOrder, SamplingStrategy
from scdataset.strategy.keys import make_key, unit_float
from scdataset.strategy.parameters import Parameter
from scdataset.strategy.permutation import KeyedPermutation, permute_one
from scdataset.strategy.selection import Rows

__all__ = ["BlockShuffling", "ShuffledBlocks", "fill_positions"]


@dataclass(frozen=True, slots=True)
class ShuffledBlocks:
    """Positions [0, n) cut into blocks, the blocks in random order.

    The full blocks are permuted among themselves and the short last one is put in a uniformly random place between
    them, so that every position has a closed form.

    Attributes
    ----------
    n_full
        Number of full blocks.
    block_size
        Positions in a full block.
    n_short
        Positions in the short last block, less than ``block_size``, 0 if there is none.
    short_place
        How many full blocks come before the short one.
    full
        The permutation of the full blocks.
    """

    n_full: int
    block_size: int
    n_short: int
    short_place: int
    full: KeyedPermutation

    @classmethod
    def from_seed(cls, n: int, block_size: int, seed: int, epoch: int, number: int = 0) -> "ShuffledBlocks":
        """Shuffle the blocks of [0, n) for one epoch; ``number`` tells several shuffles of an epoch apart."""
        n_full, n_short = divmod(n, block_size)
        place_key = make_key(seed, epoch, "short block", number)
        full = KeyedPermutation(max(n_full, 1), make_key(seed, epoch, "blocks", number))
        return cls(n_full, block_size, n_short, int(unit_float(place_key) * (n_full + 1)), full)

    def positions(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the positions at places [start, stop) of the shuffled sequence, shape ``(stop - start,)``."""
        out = np.empty(stop - start, np.int64)
        fill_positions(
            out,
            start,
            self.n_full,
            self.block_size,
            self.n_short,
            self.short_place,
            self.full.n,
            self.full.key,
            self.full.table,
        )
        return out


@compiled
def fill_positions(
    out: NDArray[np.int64],
    start: int,
    n_full: int,
    block_size: int,
    n_short: int,
    short_place: int,
    n: int,
    key: np.uint64,
    table: NDArray[np.int64],
) -> None:
    """Write the positions at places from ``start`` on; the parameters are the fields of `ShuffledBlocks`."""
    stop = start + out.size
    short_start = short_place * block_size
    place = start
    while place < stop:
        if short_start <= place < short_start + n_short:
            offset = place - short_start
            first = n_full * block_size
            length = n_short
        else:
            slot, offset = divmod(place if place < short_start else place - n_short, block_size)
            first = permute_one(slot, n, key, table) * block_size
            length = block_size
        for i in range(offset, min(length, offset + stop - place)):
            out[place - start] = first + i
            place += 1


@dataclass(frozen=True, slots=True)
class BlockOrder:
    """Blocks of selected rows in random order."""

    selected: Rows
    blocks: ShuffledBlocks
    n_samples: int
    shuffles: bool

    def __len__(self) -> int:
        return self.n_samples

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        return self.selected.at(self.blocks.positions(start, stop))


class BlockShuffling(SamplingStrategy):
    """Blocks of neighbouring rows in random order, and rows shuffled inside each fetch window: for training.

    Parameters
    ----------
    block_size
        Rows in a block. 1 is true random order; larger blocks read faster and mix less: see
        `scdataset.insight.diversity`.
    indices
        The rows that take part, as in `SamplingStrategy`. Blocks are cut from the *selected* rows.
    drop_last
        Leave out the last ``n_selected % block_size`` rows, which do not fill a block.

    Examples
    --------
    >>> rows = BlockShuffling(block_size=3).get_indices(range(10), seed=1)
    >>> sorted(rows.tolist()) == list(range(10))
    True
    >>> BlockShuffling(block_size=3, drop_last=True).get_len(range(10))
    9
    """

    block_size = Parameter(partial(whole, minimum=1))
    drop_last = Parameter(flag)
    _shuffle_before_yield = True

    def __init__(
        self,
        block_size: int = 8,
        indices: ArrayLike | range | None = None,
        drop_last: bool = False,  # noqa: FBT001, FBT002 the API that users have
    ) -> None:
        super().__init__(indices)
        self.block_size = block_size
        self.drop_last = drop_last

    def __repr__(self) -> str:
        return f"BlockShuffling(block_size={self.block_size}, {self._selection!r}, drop_last={self.drop_last})"

    @property
    def _block_rows(self) -> int:
        return self.block_size

    def order(self, n_rows: int, seed: int, epoch: int) -> EpochOrder:
        """Return the order of one epoch."""
        selected = self._selection.rows_of(n_rows)
        n_samples = selected.count - (selected.count % self.block_size if self.drop_last else 0)
        blocks = ShuffledBlocks.from_seed(n_samples, self.block_size, seed, epoch)
        return BlockOrder(selected, blocks, n_samples, shuffles=bool(self._shuffle_before_yield))
