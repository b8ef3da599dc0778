"""How random batches are: the entropy of labels in a batch, expected before any row is read.

With K classes of frequency p, batches of m rows, blocks of b neighbours and windows of f batches, rows of a batch vary
as if each were drawn from a sample of C rows that was drawn before:

    E[entropy] = sum over k of E[h(count_k / m)]     count_k ~ Binomial(m, X / C)     X ~ Binomial(C, p_k)

    C = (m - 1) / (D - 1)     D = 1 + r * (m - 1) * (b - 1) / (f * m - 1)     h(x) = -x log2 x

Var(count_k / m) = D p_k (1 - p_k) / m, so that to first order this is H(p) - D * U, U = (K - 1) / (2 m ln 2). r is
the correlation of labels inside a block: 1 where each block lies inside one class, 0 where neighbours have nothing in
common. Independent draws have D = 1, which is one binomial, exactly; batches of all rows in random order are drawn
without replacement, from few rows: count_k is hypergeometric. Where D is large, windows are few or of few batches, or
blocks fill them, the order is simulated.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlog1py, xlogy

from scdataset._arguments import optional_whole, whole
from scdataset._packages import needing
from scdataset._tables import counted
from scdataset._types import Json
from scdataset.errors import ArgumentValueError
from scdataset.schedule.partition import Partition
from scdataset.schedule.windows import rows_of_batches
from scdataset.strategy.base import EpochOrder
from scdataset.strategy.blocks import BlockShuffling
from scdataset.strategy.keys import MAX_SEED
from scdataset.strategy.labels import encode_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Diversity", "codes_of", "diversity", "expected", "simulated"]

_SIMULATED_ROWS, _SIMULATED_WINDOWS = 1 << 20, 1 << 11
"""Most rows and windows whose order is worked out for a simulation: some 0.1 s."""

_COUNTED_ROWS = 1 << 22
"""Rows up to which labels are counted block by block."""

_COUNTS = 1 << 22
"""Counts that are in memory together."""

_LARGEST_D, _SMALLEST_FACTOR = 4.0, 8
"""Within these the closed form was off by 0.006 bits at most."""

_LARGEST_SAMPLE = 2048
"""Rows of the sample up to which its binomial is added up; beyond it the entropy is linear in their inverse."""

_FEWEST_WINDOWS = 8
"""With fewer, blocks are drawn from so few that windows have many of their rows in common."""

_CURVE = tuple(2**k for k in range(13))
"""Block sizes of a plot."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """The entropy of labels in a batch, as expected; in bits.

    Attributes
    ----------
    entropy
        Mean entropy of a batch, in bits.
    random
        The same for batches in true random order, of the same frequencies, in bits.
    whole
        Entropy of all samples of an epoch, which no batch exceeds on average, in bits.
    n_classes
        Number of labels that occur.
    dependence
        D: how many times larger the variance of a label's share in a batch is than in true random order; None where it
        was not computed.
    method
        ``"closed form"`` or ``"simulation"``.
    batch_size, block_size, fetch_factor
        As given; no ``block_size`` (None) for an order that is not made of blocks.
    """

    entropy: float
    random: float
    whole: float
    n_classes: int
    dependence: float | None
    method: str
    batch_size: int
    fetch_factor: int
    block_size: int | None = None
    _codes: NDArray[np.int64] | None = field(default=None, repr=False, compare=False)

    @property
    def share(self) -> float:
        """Entropy as a share of that in true random order, in [0, 1]; 1 where there is nothing to mix."""
        return min(self.entropy / self.random, 1.0) if self.random > 0 else 1.0

    def __str__(self) -> str:
        return (
            f"{self.entropy:.3f} bits a batch, {100 * self.share:.1f}% of {self.random:.3f} in true random order "
            f"({counted(self.n_classes, 'class')}, {self.method})"
        )

    def as_dict(self) -> Json:
        """Return all fields and the share, as JSON takes them."""
        names = ("entropy", "random", "whole", "n_classes", "dependence", "method", "batch_size", "fetch_factor")
        return {**{name: getattr(self, name) for name in names}, "block_size": self.block_size, "share": self.share}

    def plot(self, path: str | Path | None = None, *, block_sizes: Sequence[int] = _CURVE) -> "Figure":
        """Draw the entropy of batches against the block size, at this batch size and fetch factor.

        Parameters
        ----------
        path
            Where to write the picture, in the format of its ending; None to write none.
        block_sizes
            Keyword only. Block sizes of the curve.

        Returns
        -------
        The figure of matplotlib.

        Raises
        ------
        ArgumentValueError
            If it was made without labels.
        MissingDependencyError
            Without matplotlib.
        """
        curve = [diversity(self._labels(), size, self.fetch_factor, self.batch_size) for size in block_sizes]
        figure, axes = new_figure("Diversity.plot")
        axes.plot(block_sizes, [one.entropy for one in curve], "o-", label=f"fetch_factor={self.fetch_factor}")
        axes.axhline(self.random, color="0.4", linestyle="--", label="true random order")
        if self.block_size is not None:
            axes.plot([self.block_size], [self.entropy], "D", color="C3", label=f"block_size={self.block_size}")
        axes.set_xscale("log", base=2)
        axes.set_xlabel("block_size")
        axes.set_ylabel(f"entropy of labels in a batch of {self.batch_size} (bits)")
        axes.set_ylim(bottom=0)
        axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure

    def _labels(self) -> NDArray[np.int64]:
        if self._codes is None:
            message = "This diversity has no labels to draw a curve of; make it with scdataset.insight.diversity."
            raise ArgumentValueError(message)
        return self._codes


def diversity(
    labels: ArrayLike | Sequence[object],
    block_size: int,
    fetch_factor: int,
    batch_size: int,
    *,
    seed: int | None = None,
) -> Diversity:
    """Return how random batches of `BlockShuffling` are with respect to some labels, before any row is read.

    Parameters
    ----------
    labels
        The label of each row, in the order of the file: strings, integers or categories. Missing ones count as a label.
    block_size, fetch_factor, batch_size
        As for `BlockShuffling` and `scDataset`.
    seed
        Keyword only. Seed of a simulation; None for 0.

    Returns
    -------
    Diversity
        Expected entropy of a batch and that of true random order, in bits, with ``plot``.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For arguments of the wrong type or value, or no labels.

    Examples
    --------
    >>> plates = np.repeat(np.arange(14), 10_000)
    >>> print(diversity(plates, block_size=16, fetch_factor=64, batch_size=64))
    3.617 bits a batch, 99.0% of 3.653 in true random order (14 classes, closed form)
    """
    strategy = BlockShuffling(block_size)
    fetch_factor = whole("fetch_factor", fetch_factor, minimum=1)
    batch_size = whole("batch_size", batch_size, minimum=1)
    seed = optional_whole("seed", seed, minimum=0, maximum=MAX_SEED) or 0
    codes = codes_of(labels)
    rows = range(codes.size)
    partition = Partition(codes.size, batch_size, fetch_factor)
    return expected(codes, partition, lambda epoch: strategy.epoch_order(rows, seed, epoch), strategy.block_size, seed)


def codes_of(labels: ArrayLike | Sequence[object], name: str = "labels") -> NDArray[np.int64]:
    """Return labels as codes 0, 1, ..., each of which occurs; missing labels have one of their own."""
    encoded = encode_labels(labels, name)
    return np.unique(encoded.codes, return_inverse=True)[1].reshape(-1).astype(np.int64, copy=False)


def expected(
    codes: NDArray[np.int64],
    partition: Partition,
    order_of: Callable[[int], EpochOrder],
    block_size: int | None,
    seed: int,
) -> Diversity:
    """Return the diversity of an epoch, in closed form where that holds and by simulation elsewhere.

    Parameters
    ----------
    codes
        The code of each row, as `codes_of` returns it.
    partition
        The batches of an epoch.
    order_of
        Returns the order of an epoch, given its number.
    block_size
        Of `BlockShuffling`; None for any other strategy, which is simulated.
    seed
        Of the epochs.
    """
    found = None if block_size is None else _closed_form(codes, partition, order_of(0), block_size)
    return simulated(codes, partition, order_of, block_size, seed) if found is None else found


def _closed_form(
    codes: NDArray[np.int64], partition: Partition, order: EpochOrder, block_size: int
) -> Diversity | None:
    """Return the diversity of shuffled blocks, or None where the closed form does not hold."""
    n, m, f = partition.n_samples, partition.batch_size, partition.fetch_factor
    if not _FEWEST_WINDOWS * f * m <= n <= _COUNTED_ROWS or (block_size > 1 and block_size >= f * m):
        return None
    sampled = codes[np.sort(order.rows(0, n))]
    counts = np.bincount(sampled)
    shares = counts[counts > 0] / n
    alike = (m - 1) * (block_size - 1) / max(f * m - 1, 1)
    dependence = 1 + alike * _correlation(sampled, block_size, counts) if alike else 1.0
    if dependence > 1 and (dependence > _LARGEST_D or f < _SMALLEST_FACTOR):
        return None
    entropies = _entropy_of_blocks(shares, m, dependence), _random_entropy(shares, m), _entropy(shares)
    return Diversity(*entropies, shares.size, dependence, "closed form", m, f, block_size, codes)


def _correlation(sampled: NDArray[np.int64], block_size: int, counts: NDArray[np.int64]) -> float:
    """Return r: how much more often than by chance two rows of a block have one label, each label weighted by 1 / p."""
    step = max(_COUNTS // counts.size, 1) * block_size
    same = np.zeros(counts.size)
    for start in range(0, sampled.size, step):
        part = sampled[start : start + step]
        places = np.arange(part.size) // block_size * counts.size + part
        in_block = np.bincount(places, minlength=(-(-part.size // block_size)) * counts.size)
        in_block = in_block.reshape(-1, counts.size).astype(np.float64)
        same += (in_block * (in_block - 1)).sum(axis=0)
    full, short = divmod(sampled.size, block_size)
    pairs = full * block_size * (block_size - 1) + short * (short - 1)
    there = counts > 0
    if np.count_nonzero(there) < 2 or not pairs:
        return 0.0
    expected_sum = float(np.sum(same[there] / pairs / (counts[there] / sampled.size)))
    return max((expected_sum - 1) / (int(np.count_nonzero(there)) - 1), 0.0)


def simulated(
    codes: NDArray[np.int64],
    partition: Partition,
    order_of: Callable[[int], EpochOrder],
    block_size: int | None,
    seed: int,
) -> Diversity:
    """Return the mean entropy of batches of the order itself: of windows from all over an epoch, or of some epochs."""
    m, f, n_classes = partition.batch_size, partition.fetch_factor, int(codes.max(initial=0)) + 1
    entropies: list[NDArray[np.float64]] = []
    total, repeats = np.zeros(n_classes), False
    for rows in _windows(partition, order_of, seed):
        counts = _counts(codes[rows], m, n_classes)
        total += counts.sum(axis=0)
        repeats = repeats or np.unique(rows).size < rows.size
        entropies.append(_entropies(counts))
    shares = total[total > 0] / max(total.sum(), 1)
    mean = max(float(np.concatenate(entropies).mean()), 0.0) if entropies else 0.0
    n = partition.n_samples
    size = min(m, n)
    random = max(_random_entropy(shares, size) if repeats else _shuffled_entropy(shares, size, n), 0.0)
    return Diversity(mean, random, _entropy(shares), shares.size, None, "simulation", m, f, block_size, codes)


def _windows(partition: Partition, order_of: Callable[[int], EpochOrder], seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of some windows, each of whole batches."""
    size = partition.batch_size * partition.fetch_factor
    n_batches = max(partition.n_samples // partition.batch_size, min(partition.n_batches, 1))
    n_windows = -(-n_batches // partition.fetch_factor)
    wanted = min(max(_SIMULATED_ROWS // min(size, max(partition.n_samples, 1)), 4), _SIMULATED_WINDOWS)
    if not n_windows:
        return
    for epoch in range(max(wanted // n_windows, 1)):
        order = order_of(epoch)
        for number in np.unique(np.linspace(0, n_windows - 1, min(wanted, n_windows)).astype(int)).tolist():
            first = number * partition.fetch_factor
            batches = range(first, min(first + partition.fetch_factor, n_batches))
            yield rows_of_batches(order, partition, [batches], seed, epoch)[0]


def _counts(codes: NDArray[np.int64], batch_size: int, n_classes: int) -> NDArray[np.float64]:
    """Return how often each class is in each batch, shape ``(n_batches, n_classes)``."""
    n_batches = -(-codes.size // batch_size)
    places = np.arange(codes.size) // batch_size * n_classes + codes
    return np.bincount(places, minlength=n_batches * n_classes).reshape(n_batches, n_classes).astype(np.float64)


def _entropies(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each row of counts, in bits."""
    sizes = counts.sum(axis=1)
    logarithms = np.log2(counts, out=np.zeros_like(counts), where=counts > 0)
    entropies: NDArray[np.float64] = np.log2(sizes) - (counts * logarithms).sum(axis=1) / sizes
    return entropies


def _entropy(shares: NDArray[np.float64]) -> float:
    return max(float(-np.sum(shares * np.log2(shares))), 0.0)


def _entropy_of_blocks(shares: NDArray[np.float64], size: int, dependence: float) -> float:
    """Return the mean entropy of batches of blocks, in bits: linear in 1 / C between whole sizes of a sample."""
    if dependence <= 1:
        return _random_entropy(shares, size)
    inverse = (dependence - 1) / (size - 1)
    sample = max(math.floor(1 / inverse), 1)
    if sample >= _LARGEST_SAMPLE:
        weight, more = inverse * _LARGEST_SAMPLE, _random_entropy(shares, size)
        return weight * _entropy_of_sample(shares, size, _LARGEST_SAMPLE) + (1 - weight) * more
    weight = (inverse - 1 / (sample + 1)) / (1 / sample - 1 / (sample + 1))
    more = _entropy_of_sample(shares, size, sample + 1)
    return weight * _entropy_of_sample(shares, size, sample) + (1 - weight) * more


def _entropy_of_sample(shares: NDArray[np.float64], size: int, sample: int) -> float:
    """Return the mean entropy of draws, with replacement, from a sample that was drawn first."""
    of_sampled = _means(np.arange(sample + 1) / sample, size, _terms(size))
    return float(_means(shares, sample, of_sampled).sum())


def _random_entropy(shares: NDArray[np.float64], size: int) -> float:
    """Return the mean entropy of independent draws, in bits."""
    return float(_means(shares, size, _terms(size)).sum())


def _shuffled_entropy(shares: NDArray[np.float64], size: int, n_rows: int) -> float:
    """Return the mean entropy of draws without replacement, in bits: independent ones if there are many more rows."""
    if n_rows > _COUNTED_ROWS or shares.size * (size + 1) > _COUNTS:
        return _random_entropy(shares, size)
    terms, total = _terms(size), 0.0
    for of_class in np.rint(shares * n_rows).tolist():
        drawn = np.arange(max(size + of_class - n_rows, 0), min(size, of_class) + 1, dtype=np.int64)
        ways = _log_ways(of_class, drawn) + _log_ways(n_rows - of_class, size - drawn) - _log_ways(n_rows, size)
        total += float(np.exp(ways) @ terms[drawn])
    return total


def _log_ways(n: float, drawn: ArrayLike) -> NDArray[np.float64]:
    """Return the logarithm of the number of ways to draw some of ``n``."""
    number = np.asarray(drawn, np.float64)
    ways: NDArray[np.float64] = gammaln(n + 1) - gammaln(number + 1) - gammaln(n - number + 1)
    return ways


def _terms(size: int) -> NDArray[np.float64]:
    """Return the part of the entropy, in bits, of a class that has 0, 1, ... of the draws."""
    parts = np.arange(1, size + 1) / size
    return np.concatenate([[0.0], -parts * np.log2(parts)])


def _means(shares: NDArray[np.float64], size: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of ``values[count]`` for each share, the count binomial."""
    step, means = max(_COUNTS // (size + 1), 1), np.empty(shares.size)
    drawn = np.arange(size + 1)
    ways = _log_ways(size, drawn)
    for start in range(0, shares.size, step):
        p = shares[start : start + step, None]
        means[start : start + step] = np.exp(ways + xlogy(drawn, p) + xlog1py(size - drawn, -p)) @ values
    return means


def new_figure(needed_for: str) -> "tuple[Figure, Axes]":
    """Return a figure and its axes, which no window shows by itself."""
    with needing(needed_for, "matplotlib"):
        from matplotlib.figure import Figure  # noqa: PLC0415 used by plots alone
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    return figure, figure.add_subplot()
