"""Which rows are in a batch: the order of an epoch, shuffled inside fetch windows.

A window is the samples of one fetch, counted over all ranks. A batch's rows depend on the order, the seed, the epoch,
batch_size and fetch_factor, and on nothing else: not on who reads it, nor on what is read with it.
"""

import numpy as np
from numpy.typing import NDArray

from scdataset.schedule.partition import Partition
from scdataset.strategy.base import EpochOrder
from scdataset.strategy.keys import make_key
from scdataset.strategy.permutation import shuffled

__all__ = ["rows_of_batches"]


def rows_of_batches(
    order: EpochOrder, partition: Partition, batches: list[int], seed: int, epoch: int
) -> tuple[NDArray[np.int64], list[int]]:
    """Return the rows of some batches, one batch after the other, and the bounds between batches.

    Parameters
    ----------
    order
        The epoch's order of rows.
    partition
        What the samples of a batch are.
    batches
        Numbers of batches in the epoch, in any order; neighbours cost the least.

    Returns
    -------
    rows
        Rows in the order in which they are yielded, shape ``(n,)``.
    bounds
        ``rows[bounds[k]:bounds[k + 1]]`` are the rows of ``batches[k]``; ``len(batches) + 1`` numbers.
    """
    spans = [partition.samples(batch) for batch in batches]
    if order.shuffles:
        parts = _shuffled_parts(order, partition, _joined(spans), seed, epoch)
    else:
        parts = [order.rows(start, stop) for start, stop in _joined(spans)]
    bounds = [0]
    for start, stop in spans:
        bounds.append(bounds[-1] + stop - start)
    return parts[0] if len(parts) == 1 else np.concatenate(parts), bounds


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that continue each other."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _shuffled_parts(
    order: EpochOrder, partition: Partition, spans: list[tuple[int, int]], seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    size = partition.batch_size * partition.fetch_factor
    parts = []
    for start, stop in spans:
        for window in range(start // size, -(-stop // size)):
            first, last = window * size, min((window + 1) * size, partition.n_samples)
            places = shuffled(last - first, make_key(seed, epoch, "window", window))
            parts.append(order.rows(first, last)[places[max(start - first, 0) : stop - first]])
    return parts
