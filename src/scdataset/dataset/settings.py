"""The settings of a dataset: its public attributes, and the consequences when one is assigned."""

import reprlib
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import Any

from scdataset._arguments import flag, nearest, warn, whole
from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections import Collection, as_collection
from scdataset.dataset.epoch_tracker import EpochTracker
from scdataset.dataset.hooks import Hooks
from scdataset.dataset.options import Option, Refused, hook_option
from scdataset.dataset.unsized import Unsized, has_length
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, LoaderError, ReadOnlyError
from scdataset.schedule.rank_info import RankInfo
from scdataset.strategy.base import SamplingStrategy, block_rows_of, changes_of, count_rows, gives_length
from scdataset.strategy.keys import MAX_SEED

__all__ = ["Settings", "adapted"]

_HOOKS = ("fetch_callback", "fetch_transform", "batch_callback", "batch_transform")


_BLOCKS = "it is the strategy's: assign dataset.strategy = BlockShuffling(block_size=8)"
"""Remedy for options that older versions had."""


class Settings:
    """The attributes of a dataset that can be read, and those that can be assigned.

    Assigned values are checked as in the constructor. The next iteration goes by it; one that is running goes on as it
    was. A name whose assignment would have no effect is refused.
    """

    strategy = Option(lambda _, strategy: _checked_strategy(strategy))
    batch_size = Option(partial(whole, minimum=1))
    fetch_factor = Option(partial(whole, minimum=1))
    drop_last = Option(flag)
    prefetch = Option(partial(whole, minimum=0))
    uneven_ranks = Option(flag)
    fetch_callback = hook_option()
    fetch_transform = hook_option()
    batch_callback = hook_option()
    batch_transform = hook_option()

    data_collection = Refused("it is dataset.collection")
    mesh = Refused("assign rank and world_size")
    block_size = Refused(_BLOCKS)
    shuffle = Refused(_BLOCKS)
    indices = Refused("rows are chosen by the strategy: assign dataset.strategy = Streaming(indices=indices)")
    epoch = Refused("write dataset.set_epoch(epoch)")

    _source: RowData
    _collection: Collection | None
    _known_rank: RankInfo
    _seed: int
    _own_seed: bool
    _tracker: EpochTracker
    _n_rows: int
    _n_samples: int
    _settled_changes: int

    def __setattr__(self, name: str, value: object) -> None:
        """Store an attribute of the user's own, with a warning if it seems to be a hook's name, misspelt."""
        super().__setattr__(name, value)
        if not name.startswith("_") and not hasattr(type(self), name) and get_close_matches(name, _HOOKS, cutoff=0.9):
            warn(f"{type(self).__name__} goes by no attribute {name!r}, which was stored{nearest(name, _HOOKS)}")

    def change(self, name: str, **stored: object) -> None:
        """Store the value assigned to the option ``name`` and its consequences, or nothing if it does not fit."""
        if "_tracker" not in vars(self):  # under construction
            vars(self).update(stored)
            return
        before, ordered = vars(self).copy(), self._ordering
        try:
            vars(self).update(stored)
            self._settle()
            self._tracker.change(name, self._seed, reorders=self._ordering != ordered)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _settle(self) -> None:
        """Work out the consequences of the options."""
        _check_whole_units(self.batch_size, self.strategy)
        if self._collection is None:
            self._collection = adapted(self._source, self.fetch_callback)
        self._n_rows = count_rows(self._sized)
        self._take_length(self.strategy.get_len(self._sized))
        self._settled_changes = changes_of(self.strategy)
        vars(self).pop("_in_order", None)
        if self._n_samples > self.fetch_size < block_rows_of(self.strategy):
            _warn_of_blocks_beyond_windows(block_rows_of(self.strategy), self.batch_size, self.fetch_factor)

    def _take_length(self, n_samples: int) -> None:
        """Go by an epoch of this length."""
        self._n_samples = n_samples
        vars(self).pop("_identity", None)

    def _catch_up(self) -> None:
        """Apply assignments to the strategy since the last check."""
        if changes_of(self.strategy) != self._settled_changes:
            self.change("strategy", strategy=self.strategy)

    def _ask_for_length(self) -> None:
        """Go by the length that a strategy gives for the next epoch, where no other rank has to."""
        if gives_length(self.strategy) and self.world_size == 1:
            n_samples = self.strategy.get_len(self._sized)
            if n_samples != self._n_samples:
                self._take_length(n_samples)

    @property
    def _ordering(self) -> tuple[object, ...]:
        """All that decides on the order of an epoch; objects of the user's count by identity."""
        objects = id(self.strategy), self._settled_changes, id(self._source)
        sizes = self.batch_size, self.fetch_factor, self._n_samples
        return (*objects, *sizes, self.drop_last, self.uneven_ranks, self._seed, self._known_rank)

    @property
    def collection(self) -> Any:
        """The collection, as it was given."""
        if self._collection is None or self._collection is self._source:
            return self._source
        return getattr(self._collection, "source", self._source)  # which this process has opened again

    @collection.setter
    def collection(self, collection: object) -> None:
        known = adapted(collection, self.fetch_callback)
        self.change("collection", _source=collection, _collection=known)

    @property
    def _sized(self) -> object:
        """The collection for strategies: as it was given, unless its entries are not its rows (a list of AnnData).

        With a ``fetch_callback`` they always are.
        """
        given, collection = self.collection, self._collection
        if collection is None and not has_length(given):
            return Unsized(given, self.strategy)
        if collection is None or self.fetch_callback is not None:
            return given
        return given if len(collection) == count_rows(given) else collection

    @property
    def fetch_size(self) -> int:
        """Rows in a fetch."""
        return self.batch_size * self.fetch_factor

    @fetch_size.setter
    def fetch_size(self, rows: int) -> None:
        factor, rest = divmod(whole("fetch_size", rows, minimum=1), self.batch_size)
        if rest or not factor:
            message = f"fetch_size={rows} is no multiple of batch_size={self.batch_size}; assign fetch_factor instead."
            raise ArgumentValueError(message)
        self.fetch_factor = factor

    @property
    def sort_before_fetch(self) -> bool:
        """Whether rows are fetched in ascending order: always."""
        return True

    @sort_before_fetch.setter
    def sort_before_fetch(self, value: object) -> None:
        if not flag("sort_before_fetch", value):
            message = (
                "sort_before_fetch=False has no effect: rows are always fetched in ascending order, and batches have "
                "the order of the strategy. Leave it True."
            )
            raise ReadOnlyError(message)

    @property
    def rank(self) -> int:
        """Number of this process among those that share the data, from 0."""
        return self._rank_info().rank

    @rank.setter
    def rank(self, rank: int) -> None:
        self._move("rank", replace(self._known_rank, rank=whole("rank", rank, minimum=0)))

    @property
    def world_size(self) -> int:
        """Number of processes that share the data."""
        return self._rank_info().size

    @world_size.setter
    def world_size(self, world_size: int) -> None:
        self._move("world_size", replace(self._known_rank, size=whole("world_size", world_size, minimum=1)))

    def _move(self, name: str, rank_info: RankInfo) -> None:
        """Take another place among the processes; whether rank and size fit shows when both are needed."""
        if rank_info == self._known_rank:
            return
        if self._own_seed and not rank_info.has_group:
            message = (
                f"{name} was assigned to a dataset that drew its seed for itself (seed=None); assign dataset.seed "
                "first, the same on every rank."
            )
            raise LoaderError(message)
        self.change(name, _known_rank=replace(rank_info, is_given=True))

    def join_world(self, rank: int, world_size: int, agree: Callable[[int], int]) -> None:
        """Take a place among processes that a host started; one that was given by a mesh stays.

        With ``seed=None`` all ranks go by one seed from then on, and a loaded state's takes its place.

        Parameters
        ----------
        rank, world_size
            This process, from 0, and the number of processes.
        agree
            ``agree(seed)`` returns the seed of rank 0; all ranks call it, if the seed was drawn.
        """
        known = self._known_rank
        rank_info = known if known.along_mesh else RankInfo(rank, world_size, is_given=True).checked()
        seed = agree(self._seed) if self._own_seed else self._seed
        if (rank_info, seed) != (known, self._seed):
            self.change("rank", _known_rank=rank_info, _seed=seed)

    @property
    def seed(self) -> int:
        """The seed of all that is random."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self.change("seed", _seed=whole("seed", seed, minimum=0, maximum=MAX_SEED), _own_seed=False)

    _base_seed = seed  # the name that scripts know it by

    def set_epoch(self, epoch: int) -> None:
        """Make ``epoch`` the next one to be iterated over, also in DataLoader workers that are running.

        Without it, epochs count from 0 by themselves. An epoch that a loaded state is in the middle of goes on there.
        """
        self._tracker.counter.set_epoch(whole("epoch", epoch, minimum=0, maximum=MAX_SEED))

    @property
    def _epoch(self) -> int:
        """The epoch that comes next, under the name that scripts know it by."""
        return self._tracker.counter.peek()[0].epoch

    @_epoch.setter
    def _epoch(self, epoch: int) -> None:
        self.set_epoch(epoch)

    @property
    def _hooks(self) -> Hooks:
        return Hooks(self.fetch_callback, self.fetch_transform, self.batch_callback, self.batch_transform)

    def _rank_info(self) -> RankInfo:
        """Return the rank of this process, which the process group decides even if it came after the dataset."""
        rank_info = self._known_rank.now().checked()
        if rank_info.size != self._known_rank.size and self._own_seed:
            message = (
                f"torch.distributed now has {counted(rank_info.size, 'process')}, and this dataset was made before "
                "they could agree on a seed. Give seed=, or make the dataset after the process group: with Lightning "
                "in setup() or train_dataloader(), with Accelerate after Accelerator()."
            )
            raise LoaderError(message)
        self._known_rank = rank_info
        return rank_info


def _checked_strategy(strategy: object) -> SamplingStrategy:
    if isinstance(strategy, SamplingStrategy):
        return strategy
    name = getattr(strategy, "__name__", type(strategy).__name__)
    is_class = isinstance(strategy, type) and issubclass(strategy, SamplingStrategy)
    message = (
        f"strategy is the class {name} and not an instance of it; write {name}()."
        if is_class
        else f"strategy={reprlib.repr(strategy)} is of type {type(strategy).__name__}; give a SamplingStrategy such as "
        "BlockShuffling(block_size=8) or Streaming()."
    )
    raise ArgumentTypeError(message)


def _check_whole_units(batch_size: int, strategy: SamplingStrategy) -> None:
    unit = strategy.batch_unit
    if batch_size % unit:
        near = max(batch_size // unit, 1) * unit
        message = (
            f"batch_size={batch_size} would cut units of {counted(unit, 'row')} that {type(strategy).__name__} keeps "
            f"together; give a multiple of {unit}, such as {near} or {near + unit}."
        )
        raise ArgumentValueError(message)


def _warn_of_blocks_beyond_windows(block_rows: int, batch_size: int, fetch_factor: int) -> None:
    warn(
        f"block_size={block_rows} is beyond the window of {counted(batch_size * fetch_factor, 'row')} "
        f"(batch_size={batch_size} * fetch_factor={fetch_factor}): windows hold neighbours of one block, so that "
        f"batches are not mixed. Give fetch_factor={-(-block_rows // batch_size)} or more, or a smaller block_size.",
    )


def adapted(source: object, fetch_callback: Callable[..., object] | None) -> Collection | None:
    """Return the collection over ``source``; None if only a ``fetch_callback`` can read it."""
    try:
        return as_collection(source)
    except CollectionError:
        if fetch_callback is None:
            raise
        return None
