"""scDataset: the loop from a collection and a strategy to batches."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from scdataset._arguments import flag, optional_whole, whole
from scdataset.collections import Collection, as_collection
from scdataset.collections.handles import dumps, loads
from scdataset.dataset.ahead import read_ahead
from scdataset.dataset.hooks import Hooks
from scdataset.dataset.iteration import Iteration, Pass
from scdataset.dataset.ledger import Ledger
from scdataset.dataset.loader import refuse_hosts_that_share_out_again
from scdataset.dataset.seeds import drawn_seed
from scdataset.dataset.state import Identity, SavedState, shortened
from scdataset.dataset.v01 import answers_old_calls, refuse_set_mode, refuse_subset
from scdataset.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CollectionChangedError,
    CollectionError,
    LoaderError,
)
from scdataset.schedule.partition import Partition
from scdataset.schedule.progress import Course, Progress
from scdataset.schedule.windows import rows_of_batches
from scdataset.schedule.world import World
from scdataset.strategy.base import EpochOrder, SamplingStrategy, count_rows
from scdataset.strategy.keys import MAX_SEED

__all__ = ["scDataset"]


class scDataset(IterableDataset[Any]):  # noqa: N801 the name that users have
    """Minibatches of a collection that need not fit in memory, in the order of a strategy.

    Rows are fetched ``batch_size * fetch_factor`` at a time, in the order of the disk, and cut into batches. Use it
    bare, or as ``DataLoader(dataset, batch_size=None, num_workers=k, prefetch_factor=p)``.

    Parameters
    ----------
    data_collection
        Anything that `as_collection` takes; with a ``fetch_callback``, anything that has a length.
    strategy
        Which rows come, and in what order.
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
        ``fetch_transform(fetched)`` changes what was fetched, before batches are cut from it.
    batch_callback
        ``batch_callback(fetched, positions)`` cuts a batch in place of indexing: ``positions`` are int64 places in what
        was fetched, shape ``(batch_size,)``.
    batch_transform
        ``batch_transform(batch)`` changes each batch.
    rank, world_size
        This process among those that train together; both, or neither to ask torch.distributed, or else the
        environment (``RANK`` and ``WORLD_SIZE``, as torchrun sets them).
    seed
        Seed of all that is random, in [0, 2**64). None draws one, the same on all ranks of a process group.
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
    collection, strategy, batch_size, fetch_factor, drop_last
        As given.
    fetch_size
        Rows in a fetch, ``batch_size * fetch_factor``.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For arguments of the wrong type or value, naming what is allowed.
    CollectionError
        For a collection that has no length or cannot be indexed.

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
        data_collection: Any,
        strategy: SamplingStrategy,
        batch_size: int,
        fetch_factor: int = 16,
        drop_last: bool = False,  # noqa: FBT001, FBT002 the API that users have
        fetch_callback: Callable[..., Any] | None = None,
        fetch_transform: Callable[..., Any] | None = None,
        batch_callback: Callable[..., Any] | None = None,
        batch_transform: Callable[..., Any] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        seed: int | None = None,
        *,
        prefetch: int = 1,
        uneven_ranks: bool = False,
        mesh: Any = None,
    ) -> None:
        self.strategy = _checked_strategy(strategy)
        self.batch_size = _checked_batch_size(batch_size, self.strategy)
        self.fetch_factor = whole("fetch_factor", fetch_factor, minimum=1)
        self.drop_last = flag("drop_last", drop_last)
        self.prefetch = whole("prefetch", prefetch, minimum=0)
        self.uneven_ranks = flag("uneven_ranks", uneven_ranks)
        self._hooks = Hooks(fetch_callback, fetch_transform, batch_callback, batch_transform)
        self._source = data_collection
        self._collection = _collection_for(data_collection, fetch_callback)
        given_seed = optional_whole("seed", seed, minimum=0, maximum=MAX_SEED)
        self._known_world = World.of(rank, world_size, mesh)
        self._own_seed = given_seed is None
        self._seed = drawn_seed(self._known_world) if given_seed is None else given_seed
        self._n_rows = count_rows(self._sized)
        self._n_samples = self.strategy.get_len(self._sized)
        self._ledger = Ledger()

    @property
    def collection(self) -> Any:
        """The collection, as it was given."""
        if self._collection is None or self._collection is self._source:
            return self._source
        return getattr(self._collection, "source", self._source)  # which this process has opened again

    @property
    def _sized(self) -> Any:
        """What strategies see: the collection as it was given, unless its entries are not its rows (a list of AnnData).

        With a ``fetch_callback`` they always are.
        """
        given, collection = self.collection, self._collection
        if collection is None or self._hooks.fetch_callback is not None:
            return given
        return given if len(collection) == count_rows(given) else collection

    @property
    def fetch_size(self) -> int:
        """Rows in a fetch."""
        return self.batch_size * self.fetch_factor

    @property
    def rank(self) -> int:
        """Number of this process among those that share the data, from 0."""
        return self._world().rank

    @property
    def world_size(self) -> int:
        """Number of processes that share the data."""
        return self._world().size

    @property
    def seed(self) -> int:
        """The seed of all that is random."""
        return self._seed

    def __len__(self) -> int:
        """Return the exact number of batches that this rank yields in an epoch.

        For an epoch that goes on from a loaded state, those that were consumed before count as well, so that it is the
        same before and after.
        """
        resumed = self._ledger.total(self._course)
        return len(self._partition) if resumed is None else resumed

    def __repr__(self) -> str:
        return (
            f"scDataset({type(self._source).__name__} of {self._n_rows} rows, {self.strategy!r}, "
            f"batch_size={self.batch_size}, fetch_factor={self.fetch_factor}, drop_last={self.drop_last}, "
            f"rank={self.rank}, world_size={self.world_size}, seed={self.seed})"
        )

    def set_epoch(self, epoch: int) -> None:
        """Make ``epoch`` the next one to be iterated over, also in DataLoader workers that are running.

        Without it, epochs count from 0 by themselves. An epoch that a loaded state is in the middle of goes on there.
        """
        self._ledger.clock.set_epoch(whole("epoch", epoch, minimum=0, maximum=MAX_SEED))

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
        world_size = self.world_size
        if get_worker_info() is None:
            progress, worker = self._ledger.progress(self._course, batches, epoch, num_workers), None
        else:
            progress, worker = self._ledger.worker_part(world_size)
        return SavedState(progress, self._seed, self._identity, worker).to_dict()

    def load_state_dict(self, state: dict[str, Any], *, ignore: Sequence[str] = ()) -> None:
        """Go on from a state in the next iteration: what was consumed does not come again, and all else does.

        With the number of ranks and workers that it was saved with, batches come as they would have; with others, what
        is left is shared out among those. ``seed=None`` takes the state's seed.

        Parameters
        ----------
        state
            What ``state_dict`` returned.
        ignore
            Keyword only. ``"collection"`` or ``"strategy"``, or both, if they may look different: for a file that has
            moved.

        Raises
        ------
        StateError
            If the state is damaged, of another version or of another dataset, or an iteration is running.
        """
        saved = SavedState.of(state)
        saved.check(self._identity, None if self._own_seed else self._seed, ignore)
        self._ledger.load(saved, saved.seed, self._course)
        self._seed, self._own_seed = saved.seed, False

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the next epoch's batches of this rank, or of this worker's part of them."""
        refuse_hosts_that_share_out_again(self.world_size)
        n_rows = count_rows(self._sized)
        if n_rows != self._n_rows:
            message = (
                f"The collection has {n_rows} rows and had {self._n_rows} when the dataset was made; "
                "make a new scDataset for it."
            )
            raise CollectionChangedError(message)
        iteration = Iteration(self._begin)
        if get_worker_info() is not None:  # which then belongs to the epoch even if it is ended before a batch
            iteration.begin()
        return iteration

    def _begin(self) -> tuple[Pass, Iterator[Any]]:
        begun, seed = self._ledger.begin(self._course)
        self._seed = self._seed if seed is None else seed
        return begun, self._batches(begun)

    def _batches(self, begun: Pass) -> Iterator[Any]:
        epoch, partition = begun.begun.epoch, begun.course.partition
        try:
            order = self._order(epoch)
            fetches = (rows_of_batches(order, partition, run, self._seed, epoch) for run in begun.fetches())
            for fetched, places, bounds in self._windows(fetches, begun.course.n_workers):
                yield from self._hooks.batches(fetched, places, bounds)
        finally:
            begun.is_running = False

    def _course(self, progress: Progress, n_workers: int) -> Course:
        return Course.of(self._partition, progress, n_workers, in_order=self._in_order)

    @cached_property
    def _in_order(self) -> bool:
        return not self.strategy.epoch_order(self._sized, self._seed, 0).shuffles

    @property
    def _partition(self) -> Partition:
        """What this rank yields of a whole epoch."""
        world = self._world()
        return Partition(
            n_samples=self._n_samples,
            batch_size=self.batch_size,
            fetch_factor=self.fetch_factor,
            drop_last=self.drop_last,
            rank=world.rank,
            world_size=world.size,
            uneven=self.uneven_ranks,
        )

    def _world(self) -> World:
        """Return the world of this process, which the process group decides even if it came after the dataset."""
        world = self._known_world.now()
        if world.size != self._known_world.size and self._own_seed:
            message = (
                f"torch.distributed now has {world.size} processes, and this dataset was made before they could agree "
                "on a seed. Give seed=, or make the dataset after the process group: with Lightning in setup() or "
                "train_dataloader(), with Accelerate after Accelerator()."
            )
            raise LoaderError(message)
        self._known_world = world
        return world

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
        self, fetches: Iterator[tuple[NDArray[np.int64], list[int]]], n_workers: int
    ) -> Iterator[tuple[Any, NDArray[np.int64] | None, list[int]]]:
        """Read one fetch after the other, ahead of time where the collection allows it."""
        collection = self._collection
        if collection is None or self._hooks.fetch_callback is not None:
            for rows, bounds in fetches:
                yield *self._hooks.call_fetch(self.collection, rows), bounds
            return
        share_threads = getattr(collection, "share_threads", None)
        if share_threads is not None:
            share_threads(n_workers)
        if self.prefetch and getattr(collection, "reads_ahead", False):
            for fetched, bounds in read_ahead(collection, fetches, self.prefetch):
                yield fetched, None, bounds
        else:
            for rows, bounds in fetches:
                yield collection.read(rows), None, bounds

    def _order(self, epoch: int) -> EpochOrder:
        order = self.strategy.epoch_order(self._sized, self.seed, epoch)
        if len(order) != self._n_samples:
            message = (
                f"{type(self.strategy).__name__}.get_len gave {self._n_samples} samples and epoch {epoch} "
                f"has {len(order)}; every epoch has to have the same number."
            )
            raise ArgumentValueError(message)
        return order

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_source"] = state["_collection"] = dumps((self._source, self._collection))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._source, self._collection = loads(state["_collection"])

    def subset(self, indices: object) -> Never:  # noqa: ARG002 it only answers
        """Refuse: version 0.1 chose rows here, and the strategy does it now."""
        refuse_subset(self.batch_size, self.fetch_factor)

    def set_mode(self, mode: object) -> Never:
        """Refuse: version 0.1 switched between training and evaluation here, and two datasets do it now."""
        refuse_set_mode(mode, self.batch_size, self.fetch_factor)


def _checked_strategy(strategy: object) -> SamplingStrategy:
    if isinstance(strategy, SamplingStrategy):
        return strategy
    name = getattr(strategy, "__name__", type(strategy).__name__)
    is_class = isinstance(strategy, type) and issubclass(strategy, SamplingStrategy)
    message = (
        f"strategy is the class {name} and not an instance of it; write {name}()."
        if is_class
        else f"strategy={strategy!r} is of type {type(strategy).__name__}; give a SamplingStrategy such as "
        "BlockShuffling(block_size=8) or Streaming()."
    )
    raise ArgumentTypeError(message)


def _checked_batch_size(batch_size: object, strategy: SamplingStrategy) -> int:
    size, unit = whole("batch_size", batch_size, minimum=1), strategy.batch_unit
    if size % unit:
        near = max(size // unit, 1) * unit
        message = (
            f"batch_size={size} would cut what {type(strategy).__name__} keeps together, {unit} rows each; "
            f"give a multiple of {unit}, such as {near} or {near + unit}."
        )
        raise ArgumentValueError(message)
    return size


def _collection_for(source: Any, fetch_callback: Callable[..., Any] | None) -> Collection | None:
    """Return the collection over ``source``; with a ``fetch_callback`` only its length is needed."""
    try:
        return as_collection(source)
    except CollectionError:
        if fetch_callback is None or not hasattr(source, "__len__"):
            raise
        return None
