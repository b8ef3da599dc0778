"""Which rows are in a batch: the order of an epoch, shuffled inside fetch windows.

A window is the samples of one fetch, counted over all ranks. A batch's rows depend on the order, the seed, the epoch,
batch_size and fetch_factor, and on nothing else: neither on the rank or worker that reads it, nor on batches read with
it.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scdataset.schedule.partition import Partition
from scdataset.strategy.base import EpochOrder
from scdataset.strategy.keys import make_key
from scdataset.strategy.permutation import shuffled

__all__ = ["one_by_one", "rows_of_batches"]


def rows_of_batches(
    order: EpochOrder, partition: Partition, batches: list[range], seed: int, epoch: int
) -> tuple[NDArray[np.int64], list[int]]:
    """Return the rows of some batches, one batch after the other, and the bounds between batches.

    Parameters
    ----------
    order
        The epoch's order of rows.
    partition
        The samples of each batch.
    batches
        Runs of neighbouring batches, numbered in the epoch.

    Returns
    -------
    rows
        Rows in the order in which they are yielded, shape ``(n,)``.
    bounds
        ``rows[bounds[k]:bounds[k + 1]]`` are the rows of the k-th batch.
    """
    parts = []
    bounds = [0]
    for run in batches:
        start, stop = partition.samples(run)
        parts += _shuffled(order, partition, start, stop, seed, epoch) if order.shuffles else [order.rows(start, stop)]
        begun = bounds[-1]
        bounds.extend(range(begun + partition.batch_size, begun + stop - start, partition.batch_size))
        bounds.append(begun + stop - start)
    return parts[0] if len(parts) == 1 else np.concatenate(parts), bounds


def one_by_one(
    several: Iterator[tuple[NDArray[np.int64], list[int]]], fetch_factor: int, before: int
) -> Iterator[tuple[NDArray[np.int64], list[int]]]:
    """Yield the rows and bounds of single fetches, given those of several at once.

    Parameters
    ----------
    several
        Results of `rows_of_batches`.
    fetch_factor
        Batches in a fetch.
    before
        Batches that came before the first; a fetch that they end in has so many fewer.
    """
    n_left = fetch_factor - before % fetch_factor
    for rows, bounds in several:
        first, n_batches = 0, len(bounds) - 1
        while first < n_batches:
            last = min(first + n_left, n_batches)
            start = bounds[first]
            yield rows[start : bounds[last]], [bound - start for bound in bounds[first : last + 1]]
            first, n_left = last, fetch_factor


def _shuffled(
    order: EpochOrder, partition: Partition, start: int, stop: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the rows at positions [start, stop) after shuffling, an array a window."""
    size = partition.batch_size * partition.fetch_factor
    parts = []
    for window in range(start // size, -(-stop // size)):
        first, last = window * size, min((window + 1) * size, partition.n_samples)
        places = shuffled(last - first, make_key(seed, epoch, "window", window))
        parts.append(order.rows(first, last)[places[max(start - first, 0) : stop - first]])
    return parts
