"""BlockWeightedSampling: rows drawn with given probabilities."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array, flag, one_axis, one_of, optional_whole, warn, whole
from scdataset._compiled import compiled
from scdataset._properties import cached_property
from scdataset._types import Array
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.base import EpochOrder, ListedOrder, SamplingStrategy
from scdataset.strategy.blocks import ShuffledBlocks
from scdataset.strategy.draws import SortedDraws
from scdataset.strategy.keys import make_key
from scdataset.strategy.names import NamedRows, names_of, rows_of
from scdataset.strategy.parameters import Parameter
from scdataset.strategy.rounds import RoundsOrder
from scdataset.strategy.selection import AlignedTo, Rows
from scdataset.strategy.weights import STRATUM, Weights, fill_weights, in_parts, stratum_prefix

__all__ = ["BlockWeightedSampling"]


_SHORT_EPOCH = 1 << 17
"""Draws of an epoch that is written out when it begins: half the time in all, for a megabyte."""


@dataclass(frozen=True)
class DrawnOrder:
    """Sorted draws cut into blocks, the blocks in random order."""

    selected: Rows
    draws: SortedDraws
    blocks: ShuffledBlocks
    shuffles: bool

    def __len__(self) -> int:
        return self.draws.n_draws

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        if len(self) <= _SHORT_EPOCH:
            return self._all_rows[start:stop].copy()
        return self.selected.at(self.draws.at(self.blocks.positions(start, stop)))

    @cached_property
    def _all_rows(self) -> NDArray[np.int64]:
        n_draws = len(self)
        return self.selected.at(self.draws.at(np.arange(n_draws))[self.blocks.positions(0, n_draws)])


@dataclass(frozen=True)
class Prepared:
    """The state of a strategy once the number of rows is known: O(n_rows / 256) memory.

    Weights for compiled code are made when they are asked for, here and in every process that this is sent to: sent
    along, they would be another copy of the argument.
    """

    n_rows: int
    selected: Rows
    weigh: Callable[[], Weights]
    prefix: NDArray[np.float64]

    @cached_property
    def weights(self) -> Weights:
        """Weights of the selected rows."""
        return self.weigh()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "weights"}


class BlockWeightedSampling(SamplingStrategy):
    """Rows drawn with given probabilities, read in blocks of neighbours.

    The draws of an epoch are independent. They are sorted, cut into blocks of ``block_size`` draws, and the blocks come
    in random order; rows are shuffled inside each fetch window.

    Parameters
    ----------
    block_size
        Draws in a block.
    indices
        The rows that take part, as in `SamplingStrategy`.
    weights
        Non-negative numbers in proportion to the probabilities, one a row of the collection or one an index; None for
        equal ones. Kept as they are given, without a copy. Those of a pandas Series are found by its index, if the
        collection has names of cells, and are refused if it has none; the default index 0, 1, 2, ... goes by position.
    total_size
        Number of draws in an epoch; None for the number of selected rows.
    replace
        Whether a row may be drawn again. If not, an epoch is made of rounds of ``sampling_size`` distinct rows each.
    sampling_size
        Number of rows in a round; needed for ``replace=False`` and without effect otherwise.
    aligned_to
        Keyword only. The row that ``weights[k]`` belongs to: row k of the ``"collection"``, or ``indices[k]`` in the
        order in which they were given. ``"auto"`` goes by the length, and where both fit takes ``"collection"``.

    Examples
    --------
    >>> strategy = BlockWeightedSampling(block_size=2, weights=[0, 1, 1, 0], total_size=6)
    >>> rows = strategy.get_indices(range(4), seed=1)
    >>> len(rows), sorted(set(rows.tolist()))
    (6, [1, 2])
    """

    block_size = Parameter(partial(whole, minimum=1))
    total_size = Parameter(partial(optional_whole, minimum=1))
    replace = Parameter(flag)
    sampling_size = Parameter(partial(optional_whole, minimum=1))
    aligned_to = Parameter(partial(one_of, allowed=get_args(AlignedTo)))
    _shuffle_before_yield = True
    _has_values = True
    _values_name = "weights"
    _prepared: Prepared | None = None

    def __init__(
        self,
        block_size: int = 8,
        indices: ArrayLike | range | None = None,
        weights: ArrayLike | None = None,
        total_size: int | None = None,
        replace: bool = True,  # noqa: FBT001, FBT002 the API that users have
        sampling_size: int | None = None,
        *,
        aligned_to: AlignedTo = "auto",
    ) -> None:
        super().__init__(indices)
        self.block_size = block_size
        self.total_size = total_size
        self.replace = replace
        self.sampling_size = sampling_size
        self.aligned_to = aligned_to
        self._check_rounds()
        if self.replace and self.sampling_size is not None:
            warn(
                f"sampling_size={self.sampling_size} has no effect with replace=True; leave it out, or give "
                "replace=False.",
            )
        self.weights = weights

    def __repr__(self) -> str:
        given = "None" if self._values is None else f"<{self._values.size} values>"
        return (
            f"{type(self).__name__}(block_size={self.block_size}, {self._selection!r}, {self._values_name}={given}, "
            f"total_size={self.total_size}, replace={self.replace}, sampling_size={self.sampling_size})"
        )

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """The weights divided by their sum, shape ``(n_weights,)``, computed on each access; None for equal ones.

        An assigned value takes effect in the next epoch.
        """
        return self._normalised()

    @weights.setter
    def weights(self, weights: ArrayLike | None) -> None:
        self._keep_weights(weights)

    @property
    def _block_rows(self) -> int:
        return self.block_size

    def order(self, n_rows: int, seed: int, epoch: int) -> EpochOrder:
        """Return the order of one epoch."""
        shuffles = bool(self._shuffle_before_yield)
        if self._selection.count == 0 and self.total_size is None:
            return ListedOrder(np.empty(0, np.int64), n_rows, shuffles=shuffles)
        prepared = self._prepare(n_rows)
        selected, weights = prepared.selected, prepared.weights
        n_samples = self._n_samples(prepared)
        if self.sampling_size is not None and not self.replace:
            sizes = n_samples, self.sampling_size, self.block_size
            return RoundsOrder(selected, weights, *sizes, seed, epoch, shuffles=shuffles)
        key = make_key(seed, epoch, "draws")
        draws = SortedDraws.from_key(selected.count, n_samples, weights, prepared.prefix, key)
        return DrawnOrder(selected, draws, ShuffledBlocks.from_seed(n_samples, self.block_size, seed, epoch), shuffles)

    def _normalised(self) -> NDArray[np.float64] | None:
        return None if self._values is None else self._values / self._values.sum(dtype=np.float64)

    def _keep_weights(self, weights: ArrayLike | None) -> None:
        self._keep("weights", weights, None if weights is None else _checked_weights(weights))

    def _keep(self, name: str, given: object, values: Array | None) -> None:
        """Keep the values of the argument ``name``, one a row or an index, and the names that go with them."""
        if values is not None:
            self._selection.check_length(name, values.size)
        self._values_name = name
        self._values = values
        self._table: NDArray[np.float64] | None = None
        self._names = names_of(given)
        self._owners: NDArray[np.int64] | None = None
        self._forget()

    def _goes_by_names(self) -> bool:
        return self._names is not None or super()._goes_by_names()

    def _look_up(self, rows: NamedRows) -> None:
        super()._look_up(rows)
        self._owners = None if self._names is None else rows_of(self._values_name, self._names, rows)
        self._prepared = None

    def _forget(self) -> None:
        super()._forget()
        self._prepared = None

    def _tabled(self, values: Array, lookup: Rows) -> Callable[[], Weights]:
        """Return a function for the weights of selected rows, which are in ``values`` at ``lookup``."""
        return partial(Weights.from_values, values, lookup)

    def _arrays(self) -> Iterator[Array | Rows]:
        yield from super()._arrays()
        sorting = None if self._selection.sorting is None else self._selection.sorting.astype(np.int64)
        yield from (array for array in (self._values, self._table, sorting, self._owners) if array is not None)
        yield np.array(self.aligned_to)

    def _n_samples(self, prepared: Prepared) -> int:
        return prepared.selected.count if self.total_size is None else self.total_size

    def _check_rounds(self) -> None:
        if not self.replace and self.sampling_size is None:
            message = (
                "replace=False needs sampling_size, the number of distinct rows in a round; "
                "give sampling_size=len(indices) for rounds over all rows."
            )
            raise ArgumentValueError(message)

    def _prepare(self, n_rows: int) -> Prepared:
        if self._prepared is None or self._prepared.n_rows != n_rows:
            self._prepared = self._prepare_for(n_rows)
        return self._prepared

    def _prepare_for(self, n_rows: int) -> Prepared:
        self._check_located()
        self._check_rounds()
        selected = self._selection.rows_of(n_rows)
        weigh: Callable[[], Weights] = partial(Weights.from_values, None, selected)
        if self._values is not None:
            name, aligned_to = self._values_name, self.aligned_to
            weigh = self._tabled(*self._selection.align(name, self._values, n_rows, aligned_to, self._owners))
        weights = weigh()
        prefix = stratum_prefix(weights, selected.count)
        if prefix.size and not np.isfinite(prefix[-1]):
            message = f"{self._values_name}: the sum of the weights overflows; divide them all by the largest."
            raise ArgumentValueError(message)
        if selected.count == 0 or (prefix.size and prefix[-1] == 0.0):
            message = (
                f"{self._values_name}: none of {selected.count} selected rows has a positive weight, so that nothing "
                f"can be drawn; select others with indices, or give {self._values_name} that are positive there."
            )
            raise ArgumentValueError(message)
        self._check_sampling_size(selected.count, weights)
        return Prepared(n_rows, selected, weigh, prefix)

    def _check_sampling_size(self, n_selected: int, weights: Weights) -> None:
        if self.replace or self.sampling_size is None:
            return
        n_positive = n_selected
        if not weights.uniform:
            n_positive = sum(in_parts(n_selected, lambda start, stop: _count_positive(start, stop, weights)))
        if self.sampling_size > n_positive:
            message = (
                f"sampling_size={self.sampling_size} with replace=False, and {n_positive} selected rows have a "
                f"positive weight; give at most {n_positive}."
            )
            raise ArgumentValueError(message)


def _checked_weights(weights: ArrayLike) -> Array:
    allowed = "one number a row of the collection or one an index"
    values = array("weights", one_axis(weights), allowed, None)
    if values.ndim != 1 or values.size == 0:
        message = f"weights has shape {values.shape}; give {allowed}."
        raise ArgumentValueError(message)
    if values.dtype.kind not in "fiub":
        message = f"weights has dtype {values.dtype}; give real numbers."
        raise ArgumentTypeError(message)
    if values.dtype.kind == "b" or not values.dtype.isnative or values.dtype.itemsize not in (1, 4, 8):
        values = values.astype(np.float64)
    lowest, highest = values.min(), values.max()
    if not (lowest >= 0 and np.isfinite(highest)):
        n_missing = np.count_nonzero(np.isnan(values))
        found = f"{n_missing} missing values" if n_missing else f"values from {lowest} to {highest}"
        message = f"weights has {found} among {values.size}; give finite numbers of at least 0."
        raise ArgumentValueError(message)
    if highest == 0:
        message = f"weights are all zero ({values.size} of them); at least one has to be positive."
        raise ArgumentValueError(message)
    return values


@compiled
def _count_positive(start: int, stop: int, weights: Weights) -> int:
    count = 0
    stratum = np.empty(STRATUM)
    for first in range(start, stop, STRATUM):
        part = stratum[: min(STRATUM, stop - first)]
        fill_weights(part, first, weights)
        for i in range(part.size):
            count += part[i] > 0.0
    return count
