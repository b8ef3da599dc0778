"""Medians of the non-zero values of genes, exact and out of core.

Floats that are not negative ascend as their bits do, read as integers. So a median is found as one finds a word in a
dictionary: count keys by their first bits, and look closer at the bucket in which the median lies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._arguments import array, positive
from scdataset._types import Array
from scdataset.errors import ArgumentValueError
from scdataset.pp.checks import check_not_negative
from scdataset.pp.kernels import count_buckets
from scdataset.pp.streaming import Cells, Window

__all__ = ["nonzero_medians"]

_BUCKET_BITS = 9
"""Bits of the keys that one pass looks at."""

_KEY_BITS = 63
"""Bits of a float of 8 bytes without its sign."""

_IN_MEMORY = 1 << 24
"""Keys that are held in memory at most."""

_BEYOND = np.int64(np.float64(np.inf).view(np.int64))
"""A key above all others."""

Work = Callable[[Array, NDArray[np.int64]], None]
"""Takes genes and keys of some values."""

Pass = Callable[[Work], None]
"""Calls a function with genes and keys of all values, part by part."""


def nonzero_medians(
    cells: object,
    *,
    target_sum: float = 1e4,
    totals: object = None,
    indices: object = None,
    progress: bool = True,
) -> "pd.Series[float]":
    """Return the median of the non-zero values of every gene, after each cell was normalised to the same total.

    Rank-value tokens divide by them (Geneformer: Theodoris et al. 2023, https://doi.org/10.1038/s41586-023-06139-9).
    They are exact. Small collections take one pass, and large ones three or four, with 4 kB of memory a gene.

    Parameters
    ----------
    cells
        A collection, as `open_collection` returns it, or AnnData.
    target_sum
        Total of a cell after normalisation.
    totals
        Total counts of each cell, shape ``(n_rows,)``, in the order of ``indices``, such as ``n_counts`` of obs where
        the collection lacks some genes; None for the sum of its values, or with ``row_sums=True`` of all genes.
    indices
        Rows, each once; None for all.
    progress
        Whether to show a bar if a pass takes more than a second.

    Returns
    -------
    pandas.Series
        ``nonzero_median``, float64, its index ``cells.var_names``; NaN for genes that no cell expresses.

    Raises
    ------
    ArgumentValueError
        If a value is negative or missing, or ``totals`` are of another number or not above 0.

    Examples
    --------
    >>> nonzero_medians(cells).to_frame().to_parquet("medians.parquet")  # doctest: +SKIP
    """
    target_sum = positive("target_sum", target_sum)
    chosen = Cells(cells, indices)
    given = None if totals is None else _checked(totals, chosen)

    def each(work: Work) -> None:
        chosen.each("Medians of genes", lambda window: work(*_keys(window, given, target_sum)), progress=progress)

    medians = _medians(each, chosen.n_vars)
    return pd.Series(medians, index=chosen.var_names, name="nonzero_median")


def _checked(totals: object, cells: Cells) -> NDArray[np.float64]:
    """Return the totals in ascending order of rows."""
    given = array("totals", totals, f"{cells.rows.size} numbers above 0, one a cell").astype(np.float64)
    if given.shape != cells.rows.shape or not (given > 0).all():
        least = given.min(initial=np.inf)
        message = (
            f"totals has shape {given.shape}, from {least} on; give {cells.rows.size} numbers above 0, one a cell."
        )
        raise ArgumentValueError(message)
    return given[np.argsort(cells.given)]


def _keys(window: Window, totals: NDArray[np.float64] | None, target_sum: float) -> tuple[Array, NDArray[np.int64]]:
    """Return the genes of all values of a window that are not zero, and their normalised values as keys."""
    rows = window.matrix
    check_not_negative(rows, "nonzero_medians")
    own = window.totals if totals is None else totals[window.places]
    there = rows.data > 0
    with np.errstate(invalid="ignore"):  # zeros that are stored in a cell of nothing else
        values = rows.data / np.repeat(own, np.diff(rows.indptr)) * target_sum
    if there.all():
        return rows.indices, values.view(np.int64)
    return rows.indices[there], values[there].view(np.int64)


@dataclass(slots=True)
class _Search:
    """The bucket of each gene in which the lower of its middle values lies.

    Attributes
    ----------
    lowest
        First key of the bucket, shape ``(n_vars,)``.
    bits
        The bucket has ``2 ** bits`` keys.
    place
        Number of keys of the bucket below the middle value, shape ``(n_vars,)``.
    sizes
        Keys in the bucket, shape ``(n_vars,)``.
    """

    lowest: NDArray[np.int64]
    bits: int
    place: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def narrow(self, counts: NDArray[np.int32], bits: int) -> None:
        """Go on in one of the buckets of which ``counts`` has how many keys each has, of ``2 ** bits`` keys."""
        ends = np.cumsum(counts, axis=1, dtype=np.int32)
        bucket = np.argmax(ends > self.place[:, None], axis=1)
        genes = np.arange(bucket.size)
        self.sizes = counts[genes, bucket].astype(np.int64)
        self.place = self.place - (ends[genes, bucket] - self.sizes)
        self.lowest = self.lowest + (bucket << bits)
        self.bits = bits


class _Kept:
    """Genes and keys that are held in memory, until there are too many."""

    def __init__(self, most: float) -> None:
        self.complete = True
        self._parts: list[tuple[Array, NDArray[np.int64]]] = []
        self._room = most

    def add(self, genes: Array, keys: NDArray[np.int64]) -> None:
        self._room -= keys.size
        self.complete = self._room >= 0
        self._parts = [*self._parts, (genes, keys)] if self.complete else []

    def sorted(self) -> tuple[Array, NDArray[np.int64]]:
        """Return genes and keys, both ascending."""
        genes = np.concatenate([np.arange(0), *(part[0] for part in self._parts)])
        keys = np.concatenate([np.arange(0), *(part[1] for part in self._parts)])
        order = np.lexsort((keys, genes))
        return genes[order], keys[order]


def _medians(each: Pass, n_vars: int) -> NDArray[np.float64]:
    """Return the medians of the keys of each gene as floats, NaN for genes without keys."""
    numbers, kept, above = np.zeros(n_vars, np.int64), _Kept(_IN_MEMORY), np.full(n_vars, _BEYOND)
    lowest = np.zeros(n_vars, np.int64)

    def first(genes: Array, keys: NDArray[np.int64]) -> None:
        numbers[:] += np.bincount(genes, minlength=n_vars)
        kept.add(genes, keys)

    bits = _KEY_BITS - _BUCKET_BITS
    counts = _counted(each, lowest, bits, first)
    search = _Search(lowest, _KEY_BITS, np.maximum(numbers - 1, 0) // 2, numbers)
    if not kept.complete:
        search.narrow(counts, bits)
        while search.bits and search.sizes.sum() > _IN_MEMORY:
            bits = max(search.bits - _BUCKET_BITS, 0)
            search.narrow(_counted(each, search.lowest, bits), bits)
        kept = _bucket(each, search, above)
    lower, upper = _middle(*kept.sorted(), search, above)
    upper = np.where(numbers % 2 == 0, upper, lower)
    return np.where(numbers > 0, (lower.view(np.float64) + upper.view(np.float64)) / 2, np.nan)


def _counted(each: Pass, lowest: NDArray[np.int64], bits: int, also: Work | None = None) -> NDArray[np.int32]:
    """Count the keys in the buckets of each gene that follow its lowest one, in one pass."""
    counts = np.zeros((lowest.size, 1 << _BUCKET_BITS), np.int32)

    def work(genes: Array, keys: NDArray[np.int64]) -> None:
        count_buckets(genes, keys, lowest, bits, counts)
        if also is not None:
            also(genes, keys)

    each(work)
    return counts


def _bucket(each: Pass, search: _Search, above: NDArray[np.int64]) -> _Kept:
    """Return the keys in the bucket of each gene, in one pass; ``above`` gets the first key beyond it.

    Of buckets of a single key none is kept.
    """
    kept = _Kept(np.inf)

    def work(genes: Array, keys: NDArray[np.int64]) -> None:
        distance = keys - search.lowest[genes]
        beyond = distance >= 1 << search.bits
        np.minimum.at(above, genes[beyond], keys[beyond])
        if search.bits:
            inside = ~beyond & (distance >= 0)
            kept.add(genes[inside], keys[inside])

    each(work)
    return kept


def _middle(
    genes: Array, keys: NDArray[np.int64], search: _Search, above: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the middle key of each gene and the one after it, given the sorted keys of the buckets."""
    is_last = search.place + 1 >= search.sizes
    if not search.bits:
        return search.lowest, np.where(is_last, above, search.lowest)
    padded = np.append(keys, [_BEYOND, _BEYOND])
    place = np.searchsorted(genes, np.arange(search.place.size)) + search.place
    return padded[place], np.where(is_last, above, padded[place + 1])
