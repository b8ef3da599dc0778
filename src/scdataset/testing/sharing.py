"""Assertions of the batches of ranks and workers."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scdataset._tables import counted
from scdataset.dataset import scDataset
from scdataset.testing.epoch import Make, check_shared_out, contents

__all__ = ["assert_covers", "assert_equal_ranks"]


def assert_covers(
    make: Make,
    *,
    world_sizes: Sequence[int] = (1, 2, 3),
    num_workers: Sequence[int] = (0, 2),
    rows_of: Callable[[Any], object] | None = None,
) -> None:
    """Raise unless all ranks and workers together yield the batches of an epoch, with the same rows in them.

    Parameters
    ----------
    make
        Makes a new dataset of the same seed each time: ``make(rank=r, world_size=w)``.
    world_sizes, num_workers
        Numbers of ranks, and of workers of each, to try.
    rows_of
        Row numbers in a batch, shape ``(n,)``. With it, the rows have to be those of the strategy.

    Raises
    ------
    AssertionError
        If batches are missing, repeated or different, beyond those that ``drop_last`` drops and padding repeats: less
        than one a rank.
    """
    whole = Counter(contents(make(rank=0, world_size=1)))
    if rows_of is not None:
        _check_rows(make(rank=0, world_size=1), rows_of)
    for size in world_sizes:
        for workers in num_workers:
            ranks = [make(rank=rank, world_size=size) for rank in range(size)]
            found = Counter(batch for rank in ranks for batch in contents(rank, workers))
            check_shared_out(found, ranks[0], whole, [size])


def _check_rows(dataset: scDataset, rows_of: Callable[[Any], object]) -> None:
    order = dataset.strategy.epoch_order(dataset.collection, dataset.seed, 0)
    kept = len(order) - (len(order) % dataset.batch_size if dataset.drop_last else 0)
    expected = order.rows(0, len(order))
    found = np.concatenate([np.empty(0, np.int64), *(np.asarray(rows_of(batch)) for batch in dataset)])
    extra = Counter(found.tolist())
    extra.subtract(expected.tolist())
    surplus = sum(count for count in extra.values() if count > 0)
    if surplus or found.size != kept:
        message = (
            f"{dataset!r} yields {counted(found.size, 'row')}, {surplus:,} of them too often; the strategy has "
            f"{kept:,}."
        )
        raise AssertionError(message)


def assert_equal_ranks(
    make: Make, *, world_sizes: Sequence[int] = (1, 2, 3, 4, 5), num_workers: Sequence[int] = (0,)
) -> None:
    """Raise unless every rank yields exactly ``len(dataset)`` batches, and as many as any other.

    Parameters
    ----------
    make, world_sizes, num_workers
        As for `assert_covers`.

    Raises
    ------
    AssertionError
        If lengths differ; by more than one where ``uneven_ranks=True``.
    """
    for size in world_sizes:
        for workers in num_workers:
            ranks = [make(rank=rank, world_size=size) for rank in range(size)]
            lengths = [len(rank) for rank in ranks]
            yielded = [sum(1 for _ in contents(rank, workers)) for rank in ranks]
            allowed = 1 if ranks[0].uneven_ranks else 0
            if yielded != lengths or max(lengths) - min(lengths) > allowed:
                message = (
                    f"{ranks[0]!r} with {counted(workers, 'worker')}: ranks yield {yielded} batches and "
                    f"have len {lengths}."
                )
                raise AssertionError(message)
