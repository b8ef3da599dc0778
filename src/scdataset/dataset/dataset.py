"""scDataset: the loop from a collection and a strategy to batches."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.context import get_spawning_popen
from typing import TYPE_CHECKING, Any, Never

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from scdataset._arguments import optional_whole
from scdataset._properties import cached_property
from scdataset._tables import counted
from scdataset._types import Json
from scdataset.collections.base import ReadsInBackground
from scdataset.collections.handles import dumps, loads
from scdataset.collections.memory import BatchTaker, TakesBatches
from scdataset.collections.shared_buffers import SharedBuffers
from scdataset.dataset.ahead import Fetch, maker, read_ahead, read_when_asked
from scdataset.dataset.epoch_counter import Begun
from scdataset.dataset.epoch_tracker import EpochTracker
from scdataset.dataset.explains import Explains
from scdataset.dataset.hooks import HOOK_ARGUMENTS, Hook, Hooks, KeysOf, Window
from scdataset.dataset.iteration import Iteration, RankIteration
from scdataset.dataset.loader import has_own_collation, refuse_hosts_that_share_out_again
from scdataset.dataset.monitor import Monitor
from scdataset.dataset.monitored import Monitored
from scdataset.dataset.seeds import drawn_seed
from scdataset.dataset.sending import refuse_hooks_that_cannot_be_sent, sendable
from scdataset.dataset.settings import adapted
from scdataset.dataset.state import Identity, SavedState, shortened
from scdataset.dataset.v01 import answers_old_calls, refuse_set_mode, refuse_subset
from scdataset.engine.buffers import give_back_unused
from scdataset.errors import (
    ArgumentValueError,
    CollectionChangedError,
    LoaderError,
    UnimplementedError,
)
from scdataset.schedule.partition import Partition
from scdataset.schedule.progress import Progress, RemainingEpoch
from scdataset.schedule.rank_info import RankInfo
from scdataset.schedule.windows import one_by_one, rows_of_batches
from scdataset.strategy.base import EpochOrder, SamplingStrategy, changes_of, count_rows
from scdataset.strategy.keys import MAX_SEED
from scdataset.strategy.row_keys import RowKeys

if TYPE_CHECKING:
    from scdataset.insight.explain import Plan

__all__ = ["scDataset"]

_ROWS_AT_ONCE = 4096
"""Rows whose order is worked out together."""

_SENT = ("_source", "_collection", "strategy")
"""Attributes with arrays of the size of the data, which worker processes share."""


class scDataset(Explains, Monitored, IterableDataset[Any]):  # noqa: N801 the name that users have
    """Minibatches of a collection that need not fit in memory, in the order of a strategy.

    Rows are fetched ``batch_size * fetch_factor`` at a time, in the order of the disk, and cut into batches. Use it
    bare, or as ``DataLoader(dataset, batch_size=None, num_workers=k, prefetch_factor=p)``.

    Parameters
    ----------
    data_collection
        Anything that `as_collection` takes; with a ``fetch_callback``, anything that has a length, or
        anything at all where the strategy has ``indices``.
    strategy
        Which rows come, and in which order.
    batch_size
        Rows in a batch.
    fetch_factor
        Batches fetched together. Rows are shuffled among them, so more of them mix better and read faster, and take
        more memory.
    drop_last
        Drop the last batch if it is short, and batches that do not divide among ranks.
    fetch_callback
        ``fetch_callback(data_collection, rows)`` reads rows in place of indexing: ``rows`` are ascending int64 numbers,
        shape ``(n,)``, and the result has one entry for each, in that order.
    fetch_transform
        ``fetch_transform(fetched)`` changes a window, before batches are cut from it.
    batch_callback
        ``batch_callback(fetched, positions)`` cuts a batch in place of indexing: ``positions`` are int64 places in
        the window, shape ``(batch_size,)``.
    batch_transform
        ``batch_transform(batch)`` changes each batch.
    rank, world_size
        This process among those that train together; both, or neither to ask torch.distributed, or else the
        environment (``RANK`` and ``WORLD_SIZE``, as torchrun sets them).
    seed
        Seed of all that is random, in [0, 2**64). None draws one from torch's default generator, so that
        ``torch.manual_seed`` and ``seed_everything`` repeat the order; the same on all ranks of a process group.
    prefetch
        Keyword only. Windows that are read in the background before they are asked for, from collections that
        `open_collection` made and from backed AnnData; 0 for none. Besides these, the window in use and the one before
        it may be in memory, of ``batch_size * fetch_factor`` rows each.
    uneven_ranks
        Keyword only. Let the first ranks yield one batch more where batches do not divide among ranks, so that nothing
        is repeated or dropped: for exact evaluation.
    mesh
        Keyword only. A torch ``DeviceMesh`` of one dimension in place of rank and world_size: the one along which data
        is shared out, such as ``mesh["dp"]``. Ranks that differ in other dimensions get the same batches.

    Attributes
    ----------
    collection, strategy, batch_size, fetch_factor, drop_last, prefetch, uneven_ranks
        As given.
    fetch_callback, fetch_transform, batch_callback, batch_transform
        As given.
    fetch_size
        Rows in a fetch, ``batch_size * fetch_factor``.
    sort_before_fetch
        True: rows are always fetched in ascending order.
    rank, world_size, seed
        As given or detected.
    remaining
        Batches left in the epoch that comes next.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For arguments of the wrong type or value, naming the allowed values.
    CollectionError
        For a collection that has no length or cannot be indexed.
    HookError
        For a hook that cannot be called with its arguments.

    Notes
    -----
    Attributes but ``sort_before_fetch`` and ``remaining`` can be assigned, with the checks of the constructor. The next
    iteration goes by them; one that is running goes on as it was. DataLoader workers that are already running
    (``persistent_workers=True``) have a copy of the dataset, and raise `LoaderError` in their next epoch.

    A batch holds no memory of the rows beside it, kept, saved or sent from a worker. One of `open_collection` or of
    backed AnnData lies in the memory of its window as long as the loop is in that window, and may keep the last two
    windows whole; of those before it keeps its own pages and no others, and so it does once the iterator has ended.
    ``batch_transform`` may be given a view of AnnData in memory.

    The strategy shuffles: leave out ``shuffle`` and ``sampler`` of the DataLoader, which torch refuses here.

    Examples
    --------
    >>> import numpy as np
    >>> from scdataset import BlockShuffling, scDataset
    >>> dataset = scDataset(np.arange(10), BlockShuffling(block_size=2), batch_size=4, seed=0)
    >>> len(dataset), [batch.shape for batch in dataset]
    (3, [(4,), (4,), (2,)])
    """

    @answers_old_calls
    def __init__(
        self,
        data_collection: object,
        strategy: SamplingStrategy,
        batch_size: int,
        fetch_factor: int = 16,
        drop_last: bool = False,  # noqa: FBT001, FBT002 the API that users have
        fetch_callback: Callable[..., object] | None = None,
        fetch_transform: Callable[..., object] | None = None,
        batch_callback: Callable[..., object] | None = None,
        batch_transform: Callable[..., object] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        seed: int | None = None,
        *,
        prefetch: int = 1,
        uneven_ranks: bool = False,
        mesh: object = None,
    ) -> None:
        self.strategy = strategy
        self.batch_size = batch_size
        self.fetch_factor = fetch_factor
        self.drop_last = drop_last
        self.prefetch = prefetch
        self.uneven_ranks = uneven_ranks
        self.fetch_callback = fetch_callback
        self.fetch_transform = fetch_transform
        self.batch_callback = batch_callback
        self.batch_transform = batch_transform
        self._source = data_collection
        self._collection = adapted(data_collection, fetch_callback)
        given_seed = optional_whole("seed", seed, minimum=0, maximum=MAX_SEED)
        self._known_rank = RankInfo.from_arguments(rank, world_size, mesh)
        self._own_seed = given_seed is None
        self._seed = drawn_seed(self._known_rank) if given_seed is None else given_seed
        self._settle()
        self._tracker = EpochTracker()
        self._buffers = SharedBuffers()
        self._monitor = Monitor()

    @property
    def remaining(self) -> int:
        """Batches that this rank has left in the epoch that comes next: fewer than `len` once a state was loaded.

        For progress bars: ``tqdm(loader, total=dataset.remaining)``, or
        ``tqdm(loader, initial=len(dataset) - dataset.remaining, total=len(dataset))``.
        """
        self._catch_up()
        upcoming, _ = self._tracker.counter.peek()
        return len(self._remaining_epoch(upcoming, 0))

    def __len__(self) -> int:
        """Return the exact number of batches that this rank yields in an epoch.

        For an epoch that goes on from a loaded state, those that were consumed before count as well, so that it is the
        same before and after. Where epochs of a strategy of your own differ in length, it goes by the ``get_len`` that
        the strategy has for the next one, or without that by the last one.
        """
        self._catch_up()
        resumed = self._tracker.total(self._remaining_epoch)
        if resumed is not None:
            return resumed
        self._ask_for_length()
        return len(self._partition)

    def state_dict(
        self, batches: int | None = None, *, epoch: int | None = None, num_workers: int | None = None
    ) -> dict[str, Any]:
        """Return how far this dataset was consumed: a dict that JSON takes, the same on every rank.

        Parameters
        ----------
        batches
            Batches taken from the loader that iterates over this dataset, since that loader began. None for the number
            that this process gave itself, which is right for a bare loop and for loaders that do not read ahead.
        epoch
            Keyword only. The epoch that ``batches`` were taken of; None for that of the last iteration.
        num_workers
            Keyword only, with ``epoch``. Workers of the loader that they were taken from.

        Raises
        ------
        ArgumentValueError
            If workers iterate and ``batches`` is not given, or is more than there are.

        Examples
        --------
        >>> import numpy as np
        >>> from scdataset import BlockShuffling, scDataset
        >>> dataset, again = (scDataset(np.arange(40), BlockShuffling(2), batch_size=4, seed=0) for _ in range(2))
        >>> batches = iter(dataset)
        >>> first = [next(batches) for _ in range(3)]
        >>> again.load_state_dict(dataset.state_dict())
        >>> bool(all((a == b).all() for a, b in zip(again, batches, strict=True)))
        True
        """
        self._catch_up()
        world_size = self.world_size
        if get_worker_info() is None:
            progress, worker = self._tracker.progress(self._remaining_epoch, batches, epoch, num_workers), None
        else:
            progress, worker = self._tracker.worker_part(world_size)
        return SavedState(progress, self._seed, self._identity, worker).to_dict()

    def load_state_dict(self, state: Json, *, ignore: Sequence[str] = ()) -> None:
        """Go on from a state in the next iteration, with the batches that were not consumed.

        With the number of ranks and workers that it was saved with, batches come as they would have; with others, the
        remaining batches are shared out among those. ``seed=None`` takes the state's seed.

        Parameters
        ----------
        state
            The result of ``state_dict``.
        ignore
            Keyword only. ``"collection"`` or ``"strategy"``, or both, if they may look different: for a file that has
            moved.

        Raises
        ------
        StateError
            If the state is damaged, of another version or of another dataset, or an iteration is running.
        """
        self._catch_up()
        saved = SavedState.from_dict(state)
        saved.check(self._identity, None if self._own_seed else self._seed, ignore)
        self._tracker.load(saved, saved.seed, self._remaining_epoch)
        self._seed, self._own_seed = saved.seed, False

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the next epoch's batches of this rank, or of this worker's part of them."""
        refuse_hosts_that_share_out_again(self.world_size)
        self._catch_up()
        n_rows = count_rows(self._sized)
        if n_rows != self._n_rows:
            message = (
                f"The collection has {counted(n_rows, 'row')} and had {self._n_rows:,} when the dataset was made; "
                "make a new scDataset for it."
            )
            raise CollectionChangedError(message)
        iteration = Iteration(partial(self._begin, checked=not has_own_collation()), self._monitor)
        if get_worker_info() is not None:  # which then belongs to the epoch even if it is ended before a batch
            with suppress(LoaderError):  # raised by __next__: torch loses it here if workers persist
                iteration.begin()
        return iteration

    def _begin(self, *, checked: bool) -> tuple[RankIteration, Iterator[object]]:
        order = None

        def remaining_after(begun: Begun) -> RemainingEpoch:
            nonlocal order
            self._seed = self._seed if begun.seed is None else begun.seed
            with suppress(Exception):  # raised again by _batches: torch loses it here if workers persist
                order = self._next_order(begun.progress)
            return self._remaining_epoch(begun.progress, begun.n_workers)

        begun = self._tracker.begin(remaining_after)
        hooks = self._hooks
        batches = self._batches(begun, order, hooks)
        return begun, sendable(batches, hooks) if checked and get_worker_info() is not None else batches

    def _batches(self, begun: RankIteration, order: EpochOrder | None, hooks: Hooks) -> Iterator[object]:
        # Options may be assigned while this runs, so nothing is asked for after the first batch.
        epoch, partition, seed = begun.begun.epoch, begun.remaining.partition, self._seed
        keys_of = partial(RowKeys, seed=seed, epoch=epoch)
        try:
            order = self._next_order(begun.begun) if order is None else order
            self._check_length(order, begun)
            taker = None if hooks.need_windows else self._batch_taker(hooks)
            n_at_once = -(-_ROWS_AT_ONCE // (partition.batch_size * partition.fetch_factor))
            several = (rows_of_batches(order, partition, run, seed, epoch) for run in begun.fetches(n_at_once))
            if taker is None:
                fetches = one_by_one(several, partition.fetch_factor, begun.before)
                yield from self._cut(fetches, begun, hooks, keys_of)
            else:
                for rows, bounds in several:
                    window = Window(None, rows, bounds)
                    begun.window = begun.given, bounds
                    taken = (taker(rows_of_batch) for rows_of_batch in window.rows_of_batches)
                    yield from hooks.transformed(taken, window, keys_of)
        finally:
            begun.is_running = False
            give_back_unused()

    def _cut(self, fetches: Iterator[Fetch], begun: RankIteration, hooks: Hooks, keys_of: KeysOf) -> Iterator[object]:
        """Yield the batches of windows."""
        hooks, of_batches = hooks.divided()
        runs_ahead = self._runs_ahead(hooks, hooks.fetch_transform)
        ahead = partial(hooks.transform_window, keys_of=keys_of) if runs_ahead else None
        with maker(self.batch_size, is_ahead=self._runs_ahead(hooks, of_batches)) as made:
            for window in self._windows(fetches, begun.remaining.n_workers, hooks, ahead):
                begun.window = begun.given, window.bounds
                yield from hooks.batches(window, keys_of, is_transformed=runs_ahead, of_batches=of_batches, made=made)
                del window  # its memory is wanted for the next but one, which is read from here on

    def _runs_ahead(self, hooks: Hooks, transform: Hook | None) -> bool:
        """Tell whether a transform may be called in the background, with windows that are read there or batches."""
        reads_whole = isinstance(self._collection, ReadsInBackground) and self._collection.reads_whole
        may = bool(self.prefetch) and reads_whole and hooks.fetch_callback is None
        return may and getattr(transform, "runs_ahead", False)

    def _batch_taker(self, hooks: Hooks) -> BatchTaker | None:
        """Return a function that takes batches from memory, without a window; None for all other collections."""
        collection = self._collection
        leave = hooks.batch_transform is None or get_worker_info() is not None
        return collection.batch_taker(leave=leave) if isinstance(collection, TakesBatches) else None

    def _plan(self) -> "Plan":
        """Return the epoch that comes next."""
        from scdataset.insight.explain import Plan  # noqa: PLC0415 a room above this one

        self._catch_up()
        upcoming, _ = self._tracker.counter.peek()
        hooks, reads_ahead = self._hooks, getattr(self._collection, "reads_ahead", False)
        takes_batches = not hooks.need_windows and self._batch_taker(hooks) is not None
        return Plan(
            strategy=self.strategy,
            collection=self._collection,
            source=self.collection,
            n_rows=self._n_rows,
            partition=self._partition,
            seed=self._seed,
            epoch=upcoming.epoch,
            order_of=partial(self.strategy.epoch_order, self._sized, self._seed),
            in_order=self._in_order,
            windows_held=0 if takes_batches else self.prefetch + 1 if self.prefetch and reads_ahead else 2,
            hooks=tuple(name for name in HOOK_ARGUMENTS if getattr(self, name) is not None),
        )

    def _remaining_epoch(self, progress: Progress, n_workers: int) -> RemainingEpoch:
        return RemainingEpoch.from_progress(self._partition, progress, n_workers, in_order=self._in_order)

    @cached_property
    def _in_order(self) -> bool:
        return not self.strategy.epoch_order(self._sized, self._seed, 0).shuffles

    @property
    def _partition(self) -> Partition:
        """The part of this rank in a whole epoch."""
        rank_info = self._rank_info()
        return Partition(
            n_samples=self._n_samples,
            batch_size=self.batch_size,
            fetch_factor=self.fetch_factor,
            drop_last=self.drop_last,
            rank=rank_info.rank,
            world_size=rank_info.size,
            uneven=self.uneven_ranks,
        )

    @cached_property
    def _identity(self) -> Identity:
        known = self._collection
        collection = f"{type(self._source).__name__}:{self._n_rows}" if known is None else known.fingerprint()
        return Identity(
            n_samples=self._n_samples,
            batch_size=self.batch_size,
            fetch_factor=self.fetch_factor,
            drop_last=self.drop_last,
            uneven_ranks=self.uneven_ranks,
            strategy=shortened(self.strategy.fingerprint()),
            collection=shortened(collection),
        )

    def _windows(
        self,
        fetches: Iterator[Fetch],
        n_workers: int,
        hooks: Hooks,
        ahead: Callable[[object, NDArray[np.int64]], object] | None,
    ) -> Iterator[Window]:
        """Read one fetch after the other, ahead of time where the collection allows it."""
        collection = self._collection
        if collection is None or hooks.fetch_callback is not None:
            return hooks.windows(self.collection, fetches)
        share_threads = getattr(collection, "share_threads", None)
        if share_threads is not None:
            share_threads(n_workers)
        if self.prefetch and getattr(collection, "reads_ahead", False):
            return itertools.starmap(Window, read_ahead(collection, fetches, self.prefetch, ahead))
        return itertools.starmap(Window, read_when_asked(collection, fetches))

    def _next_order(self, progress: Progress) -> EpochOrder:
        """Return the order of an epoch that begins, and go by its length if no other rank has to."""
        order = self.strategy.epoch_order(self._sized, self._seed, progress.epoch)
        self._settled_changes = changes_of(self.strategy)
        vars(self)["_in_order"] = not order.shuffles
        if len(order) != self._n_samples and self.world_size == 1 and not progress.chain:
            self._take_length(len(order))
        return order

    def _check_length(self, order: EpochOrder, begun: RankIteration) -> None:
        n_samples, n_ranks = begun.remaining.partition.n_samples, begun.remaining.partition.world_size
        if len(order) != n_samples:
            why = f"with {counted(n_ranks, 'rank')}" if n_ranks > 1 else "where one is resumed,"
            message = (
                f"{type(self.strategy).__name__} has {counted(len(order), 'sample')} in epoch {begun.begun.epoch} and "
                f"had {n_samples:,} before; {why} every epoch has to have the same number, which all ranks count by."
            )
            raise ArgumentValueError(message)

    def __getstate__(self) -> dict[str, object]:
        state = self.__dict__.copy()
        if get_spawning_popen() is None:
            state["_source"] = state["_collection"] = dumps((self._source, self._collection))
            return {**state, "_monitor": Monitor()}  # a shallow copy counts for itself, too
        refuse_hooks_that_cannot_be_sent(self._hooks)
        return {**state, **dict.fromkeys(_SENT), "packed": self._buffers.dumps([state[name] for name in _SENT])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.pop("packed", None)
        self.__dict__.update(state)
        if packed is None:
            self._source, self._collection = loads(state["_collection"])
        else:
            self.__dict__.update(zip(_SENT, packed.loads(), strict=True))

    def __getitem__(self, index: object) -> Never:
        """Refuse: batches come by iteration."""
        message = (
            f"dataset[{index!r}]: batches come by iteration, for batch in dataset; single rows are in the collection, "
            f"dataset.collection[[{index!r}]]."
        )
        raise UnimplementedError(message)

    def subset(self, indices: object) -> Never:  # noqa: ARG002 it only answers
        """Refuse: version 0.1 chose rows here, and the strategy does it now."""
        refuse_subset(self.batch_size, self.fetch_factor)

    def set_mode(self, mode: object) -> Never:
        """Refuse: version 0.1 switched between training and evaluation here, and two datasets do it now."""
        refuse_set_mode(mode, self.batch_size, self.fetch_factor)
