"""Sizes for a loop, measured on the file and the disk at hand, within memory and diversity.

    fetch_factor 4, 8, 16, ... as memory allows, each with the largest block that is random enough
        ──► one short trial each ──► longer ones of the best, in turns ──► the fastest
        ──► smaller and larger blocks beside it: the frontier of throughput against diversity

Only b / f counts for diversity, and only f for memory, so that each f has one block size worth trying: reading gets no
slower with larger blocks.
"""

import re
from collections.abc import Callable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import finite, flag, number, positive, whole
from scdataset._progress import late_bar
from scdataset._tables import counted, html_table, size, text_table
from scdataset._types import Json
from scdataset.collections import as_collection
from scdataset.collections.base import Collection, TellsReadCost
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.experimental import estimate_sample_size
from scdataset.insight.diversity import diversity as diversity_of
from scdataset.insight.diversity import new_figure
from scdataset.insight.explain import labels_of
from scdataset.insight.memory import WindowSizes, peak_memory
from scdataset.insight.trials import WARMING, Bench, Trial
from scdataset.strategy.blocks import BlockShuffling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Tuned", "tune"]

_LARGEST_FACTOR, _LARGEST_BLOCK = 256, 4096
"""Beyond these nothing that was measured got faster."""

_ASSUMED_CLASSES = 16
"""Stretches of the file that are taken for classes where there are no labels."""

_SECONDS = 22.0
"""Seconds of trials, at most and about; the last one may go on for a window."""

_FINALISTS, _TURNS = 4, 3
"""Settings that are measured again, and how often."""

_SHARE_OF_TIME = 2
"""A trial takes no more than one such part of the seconds that are left, to leave some for the finalists."""

_SLOWER = 4
"""How much slower a small block may be than the best one: it is left out where time would not suffice."""

_TRIAL = 0.4
"""Seconds of a trial."""

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}

_AROUND = (1 / 64, 1 / 16, 1 / 4, 4, 16)
"""Block sizes beside the best one, as multiples of it, that show the frontier."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The fastest setting that was measured within memory and diversity.

    Attributes
    ----------
    best
        The setting, its rows a second, share of diversity and memory.
    trials
        All that were measured, the fastest first; also some that are not random enough, to show the price.
    batch_size
        As given.
    memory
        Bytes that the loop may take.
    diversity
        Share of true random's entropy that a batch has to have.
    labels
        Labels that the diversity is of.
    """

    best: Trial
    trials: tuple[Trial, ...]
    batch_size: int
    memory: int
    diversity: float
    labels: str

    @property
    def block_size(self) -> int:
        """For `BlockShuffling`."""
        return self.best.block_size

    @property
    def fetch_factor(self) -> int:
        """For `scDataset`."""
        return self.best.fetch_factor

    @property
    def threads(self) -> int | None:
        """For ``open_collection(num_threads=...)``; None where the collection has no threads of its own."""
        return self.best.threads

    @property
    def rows_per_second(self) -> float:
        """Rows a second that were measured."""
        return self.best.rows_per_second

    @property
    def frontier(self) -> tuple[Trial, ...]:
        """Trials that no other one beats in both throughput and diversity, the most random first."""
        kept: list[Trial] = []
        for trial in sorted(self.trials, key=lambda one: (-one.share, -one.rows_per_second)):
            if not kept or trial.rows_per_second > kept[-1].rows_per_second:
                kept.append(trial)
        return tuple(kept)

    def strategy(self, *, indices: ArrayLike | range | None = None, drop_last: bool = False) -> BlockShuffling:
        """Return `BlockShuffling` of this block size, with its other options."""
        return BlockShuffling(self.block_size, indices, drop_last)

    @property
    def options(self) -> dict[str, int]:
        """Arguments of `scDataset`: ``scDataset(cells, tuned.strategy(), **tuned.options)``."""
        return {"batch_size": self.batch_size, "fetch_factor": self.fetch_factor}

    def as_dict(self) -> Json:
        """Return the best setting, all trials and the limits, as JSON takes them."""
        limits = {"batch_size": self.batch_size, "memory": self.memory, "diversity": self.diversity}
        trials = [trial.as_dict() for trial in self.trials]
        return {**self.best.as_dict(), **limits, "labels": self.labels, "trials": trials}

    def __str__(self) -> str:
        return text_table(self._title, self._table())

    def _repr_html_(self) -> str:
        return html_table(self._title, self._table())

    @property
    def _title(self) -> str:
        return f"BlockShuffling({self.block_size}), batch_size={self.batch_size}, fetch_factor={self.fetch_factor}"

    def _table(self) -> list[tuple[str, str]]:
        threads = [] if self.threads is None else [("threads", str(self.threads))]
        best = self.best
        head = [
            ("rows a second", f"{best.rows_per_second:,.0f}"),
            ("diversity", f"{100 * best.share:.1f}% of true random order ({self.labels})"),
            ("memory", size(best.peak_bytes)),
            *threads,
            ("frontier, the most random first", ""),
        ]
        return head + [(f"block {one.block_size}, factor {one.fetch_factor}", str(one)) for one in self.frontier]

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw throughput against diversity.

        Parameters
        ----------
        path
            Where to write the picture, in the format of its ending; None to write none.

        Returns
        -------
        The figure of matplotlib.

        Raises
        ------
        MissingDependencyError
            Without matplotlib.
        """
        figure, axes = new_figure("Tuned.plot")
        shares, rates = ([getattr(one, name) for one in self.trials] for name in ("share", "rows_per_second"))
        frontier = self.frontier
        axes.plot([one.share for one in frontier], [one.rows_per_second for one in frontier], "-", color="C0")
        axes.plot(shares, rates, "o", color="C0", label="measured")
        axes.plot([self.best.share], [self.best.rows_per_second], "D", color="C3", label=self._title)
        axes.axvline(self.diversity, color="0.4", linestyle="--", label=f"diversity={self.diversity:g}")
        axes.set_xlabel(f"entropy of {self.labels} in a batch, share of true random order")
        axes.set_ylabel("rows a second")
        axes.set_ylim(bottom=0)
        axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure


def tune(
    collection: object,
    batch_size: int,
    *,
    labels: ArrayLike | str | None = None,
    memory: int | str = "4 GiB",
    diversity: float = 0.99,
    seconds: float = _SECONDS,
    verbose: bool = True,
) -> Tuned:
    """Find block_size, fetch_factor and threads by short timed reads of the collection, on its own disk.

    Parameters
    ----------
    collection
        Anything that `as_collection` takes; that of `open_collection` reads fastest.
    batch_size
        Rows in a batch.
    labels
        Keyword only. Labels that batches should mix: the name of a column of obs, or one a row. None for the files, if
        there are several, or else for 16 equal stretches of the collection, as if each were a class.
    memory
        Keyword only. Memory that the loop may take: a number of bytes, or a string such as ``"500 MB"``.
    diversity
        Keyword only. Entropy of labels in a batch, as a share of that in true random order, in (0, 1]; 1 is true random
        order, blocks of one row.
    seconds
        Keyword only. Longest time to measure; fewer settings take less.
    verbose
        Keyword only. Print the result.

    Returns
    -------
    Tuned
        The setting, all trials, and ``plot``.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For arguments of the wrong type or value, an empty collection, and memory that does not hold one batch.

    Examples
    --------
    >>> tuned = tune(np.zeros((4000, 50)), batch_size=64, memory="100 MB", seconds=0.1, verbose=False)
    >>> dataset = scDataset(cells, tuned.strategy(), **tuned.options)  # doctest: +SKIP
    """
    batch_size = whole("batch_size", batch_size, minimum=1)
    wanted = _checked_share(diversity)
    n_bytes = _bytes(memory)
    seconds, verbose = positive("seconds", seconds), flag("verbose", verbose)
    rows = as_collection(collection)
    if len(rows) < batch_size:
        found = counted(len(rows), "row")
        message = f"The collection has {found}, and batch_size={batch_size}; give one of more rows to measure."
        raise ArgumentValueError(message)
    name, codes = labels_of(collection, rows, len(rows), labels)
    if codes is None:
        name, codes = "stretches of the file", np.arange(len(rows)) * _ASSUMED_CLASSES // len(rows)
    search = _Search(rows, Bench(rows, batch_size, seconds), batch_size, codes, n_bytes, wanted)
    best, trials = search.run()
    tuned = Tuned(best, trials, batch_size, n_bytes, wanted, name or "labels")
    if verbose:
        print(tuned)  # noqa: T201 verbose=True asks for it
    return tuned


class _Search:
    """Chooses which settings are measured."""

    def __init__(
        self, rows: Collection, bench: Bench, batch_size: int, codes: NDArray[np.int64], memory: int, share: float
    ) -> None:
        self._rows = rows
        self._bench = bench
        self._batch_size = batch_size
        self._codes = codes
        self._memory = memory
        self._share = share
        self._row_bytes = _row_bytes(rows)
        self._measured: dict[tuple[int, int, int | None], list[float]] = {}
        self._shares: dict[tuple[int, int], float] = {}

    def run(self) -> tuple[Trial, tuple[Trial, ...]]:
        """Measure, and return the best setting and all."""
        factors = self._factors()
        with late_bar("Measuring block sizes and fetch factors", len(factors) + 1 + _TURNS) as advance:
            self._bench.rate(1, factors[0], None, 0)  # the first read of a process compiles
            self._climb(factors, advance)
            self._look_around()
            advance(1)
            for _ in range(_TURNS):  # a moment at which the machine is busy hits all of them
                self._measure_again()
                advance(1)
        trials = sorted((self._trial(key) for key in self._measured), key=lambda one: -one.rows_per_second)
        return self._trial(self._ranked()[0]), tuple(trials)

    def _factors(self) -> list[int]:
        """Return the fetch factors that memory and the collection allow."""
        most = min(_LARGEST_FACTOR, max(len(self._rows) // (2 * self._batch_size), 1))
        allowed = [2**k for k in range(most.bit_length()) if self._peak(2**k) <= self._memory]
        if not allowed:
            needs, given = size(self._peak(1)), size(self._memory)
            message = f"memory={given} does not hold windows of one batch, which take {needs}; give at least that much."
            raise ArgumentValueError(message)
        return [factor for factor in allowed if factor >= 4] or allowed[-1:]

    def _peak(self, fetch_factor: int) -> int:
        n_batches, batch_bytes = -(-len(self._rows) // self._batch_size), self._row_bytes * self._batch_size
        is_pooled = isinstance(self._rows, TellsReadCost)
        window_bytes = round(batch_bytes * fetch_factor)
        sizes = WindowSizes.from_batches(n_batches, fetch_factor, window_bytes, batch_bytes, is_pooled=is_pooled)
        return peak_memory(2, sizes, 0)

    def _climb(self, factors: list[int], advance: Callable[[int], None]) -> None:
        """Measure each fetch factor once, with the largest block that is random enough, from small windows to large."""
        block, threads = 1, self._bench.thread_counts[0]
        for factor in factors:
            block = self._largest_block(factor, block)
            if self._measured:
                takes = self._takes(factor, self._ranked()[0], WARMING + 2)
                if takes > self._bench.left / _SHARE_OF_TIME:
                    break
            self._measure(block, factor, threads, _TRIAL)
            advance(1)

    def _look_around(self) -> None:
        """Measure the best with fewer threads, and with other blocks, also such as are not random enough."""
        best = self._ranked()[0]
        largest = min(_LARGEST_BLOCK, best[1] * self._batch_size // 2)
        blocks = [round(best[0] * times) for times in _AROUND]
        around = [(*best[:2], threads) for threads in self._bench.thread_counts[1:]]
        around += [(block, *best[1:]) for block in blocks if 1 <= block <= largest]
        for key in around:
            if _SLOWER * self._takes(best[1], best) < self._bench.left / 2:
                self._measure(*key, _TRIAL / 2)

    def _measure_again(self) -> None:
        """Measure the best settings once more each."""
        for key in self._ranked()[:_FINALISTS]:
            if self._takes(key[1], key) < self._bench.left:
                self._measure(*key, _TRIAL)

    def _takes(self, factor: int, like: tuple[int, int, int | None], n_windows: int = 2) -> float:
        """Return the seconds of so many windows, at the rate of a setting."""
        return n_windows * factor * self._batch_size / max(self._measured[like])

    def _ranked(self) -> list[tuple[int, int, int | None]]:
        """Return the settings that are random enough, the fastest first."""
        enough = [key for key in self._measured if self._is_enough(*key[:2])]
        return sorted(enough, key=lambda key: -max(self._measured[key]))

    def _largest_block(self, factor: int, block: int) -> int:
        """Return the largest block size, a power of two, that is random enough; ``block`` is for smaller windows."""
        while block > 1 and not self._is_enough(block, factor):
            block //= 2
        limit = min(_LARGEST_BLOCK, factor * self._batch_size // 2)
        while 2 * block <= limit and self._is_enough(2 * block, factor):
            block *= 2
        return block

    def _is_enough(self, block: int, factor: int) -> bool:
        return block == 1 or self._share_of(block, factor) >= self._share

    def _share_of(self, block: int, factor: int) -> float:
        key = block, factor
        if key not in self._shares:
            self._shares[key] = diversity_of(self._codes, block, factor, self._batch_size).share
        return self._shares[key]

    def _measure(self, block: int, factor: int, threads: int | None, seconds: float) -> None:
        rate = self._bench.rate(block, factor, threads, seconds)
        self._measured.setdefault((block, factor, threads), []).append(rate)

    def _trial(self, key: tuple[int, int, int | None]) -> Trial:
        block, factor, threads = key
        rate = max(self._measured[key])
        return Trial(block, factor, threads, rate, self._share_of(block, factor), self._peak(factor))


def _row_bytes(rows: Sized) -> float:
    """Return the memory of a row, in bytes: by where it lies, or of a few that are read."""
    n_rows = len(rows)
    if isinstance(rows, TellsReadCost):
        chosen = np.unique(np.linspace(0, n_rows - 1, 4096).astype(np.int64))
        made = rows.read_cost(chosen).result_bytes
        if made is not None:
            return made / chosen.size
    return float(estimate_sample_size(rows))


def _checked_share(share: object) -> float:
    checked = finite("diversity", share)
    if not 0 < checked <= 1:
        message = f"diversity={checked:g}; give a share of true random order in (0, 1], such as 0.99."
        raise ArgumentValueError(message)
    return checked


def _bytes(memory: object) -> int:
    """Return a number of bytes, given as such or as a string with a unit."""
    allowed = 'a number of bytes above 0, or a string with a unit such as "4 GiB" or "500 MB"'
    if isinstance(memory, str):
        found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", memory.lower())
        if found is None or found[2] not in _UNITS or not float(found[1]):
            message = f"memory={memory!r} is no size; give {allowed}."
            raise ArgumentValueError(message)
        return round(float(found[1]) * _UNITS[found[2]])
    try:
        return round(positive("memory", number("memory", memory)))
    except ArgumentTypeError:
        message = f"memory={memory!r} is of type {type(memory).__name__}; give {allowed}."
        raise ArgumentTypeError(message) from None
