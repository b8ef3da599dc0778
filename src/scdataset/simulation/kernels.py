"""Compiled sampling of negative-binomial counts, a cell at a time.

A negative binomial is a Poisson number of bursts, each of a log-series size (Quenouille 1949). If every gene
has the same variance-to-mean ratio, a cell's bursts can be drawn together: one Poisson number for the cell, then
a gene for each burst. The cost is that of the molecules present, not that of the genes absent, and it is exact.

Draw ``i`` of a cell is a hash of the cell's key and ``i``, so that a cell's counts do not depend on which thread
makes them, nor on which cells came before.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.strategy.keys import mix, unit_float

_ONE = np.uint64(1)


class CellCounts(NamedTuple):
    """Counts of consecutive cells as CSR.

    Attributes
    ----------
    data, indices
        Values and their columns, sorted within a row.
    lengths
        Number of non-zeros of each row, shape ``(n_cells,)``.
    totals
        Sum of each row, shape ``(n_cells,)``.
    """

    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    lengths: NDArray[np.int64]
    totals: NDArray[np.int64]


@compiled
def _log_series(u: float, q: float) -> int:
    """Return the size of a burst at quantile ``u`` of the log-series distribution with parameter ``q``."""
    size, probability = 1, -q / np.log1p(-q)
    while u >= probability > 0.0:
        u -= probability
        probability *= q * size / (size + 1)
        size += 1
    return size


@compiled
def alias_table(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Prepare draws in constant time from a discrete distribution (Vose 1991).

    Parameters
    ----------
    weights
        Non-negative, any positive sum, shape ``(n,)``.

    Returns
    -------
    keep, alias
        Draw a slot uniformly; it stands for itself with probability ``keep[slot]`` and otherwise for ``alias[slot]``.
    """
    n = len(weights)
    keep = weights * (n / weights.sum())
    alias = np.arange(n).astype(np.int32)
    small = np.empty(n, np.int32)
    large = np.empty(n, np.int32)
    n_small = n_large = 0
    for slot in range(n):
        if keep[slot] < 1.0:
            small[n_small] = slot
            n_small += 1
        else:
            large[n_large] = slot
            n_large += 1
    while n_small and n_large:
        n_small -= 1
        poor, rich = small[n_small], large[n_large - 1]
        alias[poor] = rich
        keep[rich] -= 1.0 - keep[poor]
        if keep[rich] < 1.0:
            n_large -= 1
            small[n_small] = rich
            n_small += 1
    # What is left differs from 1 by rounding only, and its alias is itself.
    return keep, alias


@compiled
def _add_bursts(
    counts: NDArray[np.int32],
    keep: NDArray[np.float64],
    alias: NDArray[np.int32],
    key: np.uint64,
    n_bursts: int,
    q: float,
) -> None:
    """Add one cell's bursts to ``counts``, shape ``(n_genes,)``."""
    for burst in range(n_bursts):
        position = np.uint64(2 * burst)
        scaled = unit_float(mix(key, position)) * len(keep)
        slot = int(scaled)
        gene = slot if scaled - slot < keep[slot] else alias[slot]
        counts[gene] += _log_series(unit_float(mix(key, position + _ONE)), q)


@compiled
def sample_cells(
    weights: NDArray[np.float64],
    bursts: NDArray[np.int64],
    key: np.uint64,
    first_cell: int,
    q: float,
) -> CellCounts:
    """Sample the counts of consecutive cells that share one expression profile.

    Parameters
    ----------
    weights
        Relative expression, shape ``(n_genes,)``.
    bursts
        Number of bursts in each cell, shape ``(n_cells,)``.
    key
        Key of the atlas.
    first_cell
        Row of the first of these cells in the atlas.
    q
        Log-series parameter of burst sizes, in (0, 1): variance / mean of a gene is ``1 / (1 - q)``.
    """
    keep, alias = alias_table(weights)
    counts = np.zeros(len(weights), np.int32)
    data = np.empty(bursts.sum(), np.float32)
    indices = np.empty(len(data), np.int32)
    lengths = np.empty(len(bursts), np.int64)
    totals = np.zeros(len(bursts), np.int64)
    end = 0
    for cell in range(len(bursts)):
        start = end
        _add_bursts(counts, keep, alias, mix(key, np.uint64(first_cell + cell)), bursts[cell], q)
        # Scanning all genes costs less than sorting those that are present.
        for gene in range(len(counts)):
            if counts[gene]:
                indices[end], data[end] = gene, counts[gene]
                totals[cell] += counts[gene]
                counts[gene] = 0
                end += 1
        lengths[cell] = end - start
    return CellCounts(data[:end], indices[:end], lengths, totals)
