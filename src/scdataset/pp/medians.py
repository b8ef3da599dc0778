"""Medians of the non-zero values of genes, exact and out of core.

Floats that are not negative ascend as their bits do, read as integers. So a median is found as one finds a word in a
dictionary: count keys by their first bits, and look closer at the bucket in which the median lies.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array, positive
from scdataset._types import Array
from scdataset.errors import ArgumentValueError
from scdataset.pp.checks import check_not_negative
from scdataset.pp.kernels import count_buckets
from scdataset.pp.streaming import Cells, Pass, Window

__all__ = ["nonzero_medians"]

_BUCKET_BITS = 9
"""Bits of the keys that one pass looks at."""

_KEY_BITS = 63
"""Bits of a float of 8 bytes without its sign."""

_IN_MEMORY = 1 << 24
"""Keys that are held in memory at most."""

_BEYOND = np.int64(np.float64(np.inf).view(np.int64))
"""A key above all others."""

T = TypeVar("T")


def nonzero_medians(
    cells: object,
    *,
    target_sum: float = 1e4,
    totals: object = None,
    indices: ArrayLike | None = None,
    progress: bool = True,
    engine: object = None,
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
    engine
        Who makes the passes: None for this process, ``"ray"`` for all CPUs of a Ray cluster, or
        `scdataset.integrations.ray.Actors`. Results are the same.

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

    def over(work: "_KeysPass[T]") -> T:
        whole = replace(work, target_sum=target_sum, given=given)
        return chosen.over("Medians of genes", whole, progress=progress, engine=engine)

    medians = _medians(over, chosen.n_vars, _IN_MEMORY / chosen.rows.size)
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
        """Go on in one of the buckets, each of ``2 ** bits`` keys; ``counts`` has the number of values in each."""
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
        self.complete = self.complete and self._room >= 0
        self._parts = [*self._parts, (genes, keys)] if self.complete else []

    def join(self, other: "_Kept") -> None:
        """Take the keys of another one, or drop all if that one was dropped."""
        if not other.complete:
            self.complete, self._parts = False, []
        for genes, keys in other._parts:  # noqa: SLF001 our own
            self.add(genes, keys)

    def sorted(self) -> tuple[Array, NDArray[np.int64]]:
        """Return genes and keys, both ascending."""
        genes = np.concatenate([np.arange(0), *(part[0] for part in self._parts)])
        keys = np.concatenate([np.arange(0), *(part[1] for part in self._parts)])
        order = np.lexsort((keys, genes))
        return genes[order], keys[order]


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeysPass(Pass[T]):
    """A pass over the keys of all values that are not zero; the totals of cells may be given.

    Attributes
    ----------
    lowest
        First key that is looked at, of each gene, shape ``(n_vars,)``.
    bits
        Size of a bucket, ``2 ** bits`` keys.
    target_sum
        Total of a cell after normalisation.
    """

    lowest: NDArray[np.int64]
    bits: int
    target_sum: float = 1.0

    def add(self, totals: T, window: Window) -> None:
        """Add the keys of a window."""
        self.add_keys(totals, *_keys(window, self.given, self.target_sum))

    @abstractmethod
    def add_keys(self, totals: T, genes: Array, keys: NDArray[np.int64]) -> None:
        """Add keys, and the gene of each."""


@dataclass(slots=True)
class _Counted:
    """Counts of keys.

    Attributes
    ----------
    counts
        Keys by gene and bucket, shape ``(n_vars, n_buckets)``.
    kept
        The keys themselves, if they are few.
    """

    counts: NDArray[np.int32]
    kept: _Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _CountPass(_KeysPass[_Counted]):
    """Count the keys in the buckets of each gene that follow its lowest one.

    Attributes
    ----------
    most_per_row
        Keys a cell that are kept at most: parts of a pass that go from process to process keep no more than the whole.
    """

    most_per_row: float = 0

    def begin(self, n_rows: int) -> _Counted:
        """Return counts of none."""
        counts = np.zeros((self.lowest.size, 1 << _BUCKET_BITS), np.int32)
        return _Counted(counts, _Kept(self.most_per_row * n_rows))

    def add_keys(self, totals: _Counted, genes: Array, keys: NDArray[np.int64]) -> None:
        """Count keys."""
        count_buckets(genes, keys, self.lowest, self.bits, totals.counts)
        totals.kept.add(genes, keys)

    def join(self, totals: _Counted, part: _Counted, places: slice) -> None:  # noqa: ARG002 as above
        """Add counts."""
        totals.counts += part.counts
        totals.kept.join(part.kept)


@dataclass(slots=True)
class _Inside:
    """The bucket of each gene.

    Attributes
    ----------
    kept
        Its keys; of buckets of a single key none.
    above
        First key beyond it, shape ``(n_vars,)``.
    """

    kept: _Kept
    above: NDArray[np.int64]


class _BucketPass(_KeysPass[_Inside]):
    """Keep the keys in the bucket of each gene that begins at its lowest key, and the first key beyond it."""

    def begin(self, n_rows: int) -> _Inside:  # noqa: ARG002 cells have no values of their own
        """Return no keys."""
        return _Inside(_Kept(np.inf), np.full(self.lowest.size, _BEYOND))

    def add_keys(self, totals: _Inside, genes: Array, keys: NDArray[np.int64]) -> None:
        """Keep keys."""
        distance = keys - self.lowest[genes]
        beyond = distance >= 1 << self.bits
        np.minimum.at(totals.above, genes[beyond], keys[beyond])
        if self.bits:
            inside = ~beyond & (distance >= 0)
            totals.kept.add(genes[inside], keys[inside])

    def join(self, totals: _Inside, part: _Inside, places: slice) -> None:  # noqa: ARG002 as above
        """Keep those of a part."""
        np.minimum(totals.above, part.above, out=totals.above)
        totals.kept.join(part.kept)


class _Over(Protocol):
    """Makes a pass over the cells, and returns its totals."""

    def __call__(self, work: "_KeysPass[T]", /) -> T: ...


def _medians(over: "_Over", n_vars: int, most_per_row: float) -> NDArray[np.float64]:
    """Return the medians of the keys of each gene as floats, NaN for genes without keys.

    ``over`` makes a pass and returns its totals; the first keeps keys if there are no more a row than said.
    """
    lowest, bits = np.zeros(n_vars, np.int64), _KEY_BITS - _BUCKET_BITS
    first: _Counted = over(_CountPass(lowest=lowest, bits=bits, most_per_row=most_per_row))
    numbers = first.counts.sum(axis=1, dtype=np.int64)
    search = _Search(lowest, _KEY_BITS, np.maximum(numbers - 1, 0) // 2, numbers)
    found = _Inside(first.kept, np.full(n_vars, _BEYOND))
    if not first.kept.complete:
        search.narrow(first.counts, bits)
        while search.bits and search.sizes.sum() > _IN_MEMORY:
            bits = max(search.bits - _BUCKET_BITS, 0)
            search.narrow(over(_CountPass(lowest=search.lowest, bits=bits)).counts, bits)
        found = over(_BucketPass(lowest=search.lowest, bits=search.bits))
    lower, upper = _middle(*found.kept.sorted(), search, found.above)
    upper = np.where(numbers % 2 == 0, upper, lower)
    return np.where(numbers > 0, (lower.view(np.float64) + upper.view(np.float64)) / 2, np.nan)


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
