"""A dataset before it trains: how many batches, how much memory, how much is read for them, and how random they are.

    order of the epoch ──► rows of some windows ──► row pointers, chunk index ──► chunks, bytes, memory
                       └─► labels of the rows   ──► entropy of batches

No values are read. The order is a pure function, so that windows from all over an epoch are known before it begins.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import whole
from scdataset._tables import counted, html_table, size, text_table
from scdataset._types import Json
from scdataset.collections.base import Collection, TellsReadCost
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.bytes.fetch_plan import FetchPlan
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.insight.diversity import Diversity, codes_of, expected
from scdataset.insight.memory import WindowSizes, peak_memory, row_bytes
from scdataset.schedule.partition import Partition
from scdataset.schedule.windows import rows_of_batches
from scdataset.strategy.base import EpochOrder, SamplingStrategy
from scdataset.strategy.blocks import BlockShuffling

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Explanation", "Plan", "explained", "labels_of"]

_EXAMINED_ROWS, _FEWEST_WINDOWS = 1 << 17, 4
"""Rows of the windows that are examined, all if there are no more, and the least number of windows."""

FILES = "files"
"""Name of the labels that are taken if none are given."""


@runtime_checkable
class HasFiles(Protocol):
    """A collection of several files, whose rows follow each other."""

    @property
    def file_sizes(self) -> list[int]:
        """Rows of each file."""
        ...


@runtime_checkable
class HasObsFrame(Protocol):
    """A collection that reads columns of obs by name."""

    def obs_frame(self, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Return columns as a frame."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """An epoch that a dataset would yield next, as far as it is known before any row is read.

    Attributes
    ----------
    strategy, collection, source
        Of the dataset: the collection as it reads it, None if only a ``fetch_callback`` can, and as it was given.
    n_rows
        Rows of the collection.
    partition
        The batches of this rank.
    seed, epoch
        Of the order.
    order_of
        Returns the order of an epoch.
    windows_held
        Windows that are in memory together: none where batches are taken from memory as they come.
    hooks
        Names of the hooks, the cost of which is unknown.
    """

    strategy: SamplingStrategy
    collection: Collection | None
    source: object
    n_rows: int
    partition: Partition
    seed: int
    epoch: int
    order_of: Callable[[int], EpochOrder]
    in_order: bool
    windows_held: int
    hooks: tuple[str, ...]

    @property
    def block_size(self) -> int | None:
        """Rows in a block of shuffled blocks; None for any other order."""
        kind = type(self.strategy)
        inherits = kind.order is BlockShuffling.order and kind.get_indices is SamplingStrategy.get_indices
        return getattr(self.strategy, "block_size", None) if inherits and not self.in_order else None

    def windows(self, numbers: Sequence[int]) -> list[NDArray[np.int64]]:
        """Return the rows of some windows of the epoch, each as a rank reads it whole."""
        part, order = self.partition, self.order_of(self.epoch)
        windows = []
        for number in numbers:
            batches = range(number * part.fetch_factor, min((number + 1) * part.fetch_factor, part.n_batches))
            windows.append(rows_of_batches(order, part, [batches], self.seed, self.epoch)[0])
        return windows


@dataclass(frozen=True, slots=True)
class Explanation:
    """A prediction of an epoch. Fields that cannot be known without reading rows are None, and ``notes`` say why.

    Attributes
    ----------
    rows
        Rows of an epoch, over all ranks, less those that ``drop_last`` drops; a row that is drawn twice counts twice.
    collection_rows
        Rows of the collection.
    batch_size, fetch_factor
        Rows in a batch, and batches in a window.
    batches
        Batches of an epoch, over all ranks; ``notes`` say how many are repeated, or dropped, so that ranks end equal.
    windows
        Windows of an epoch, over all ranks, the last of which may be short.
    window_rows
        Rows of a whole window.
    rank, world_size
        This rank, and the number of ranks.
    batches_of_rank
        Batches that this rank yields.
    batches_of_workers
        Batches that each DataLoader worker of this rank yields; empty without workers.
    windows_examined
        Windows that were worked out, evenly spaced over the epoch: all of them, if they have no more than some hundred
        thousand rows. Costs of reading are those of these windows, to the byte.
    row_bytes
        Memory of a row as it is read, in bytes, on average.
    window_bytes
        Memory of the largest of these windows, in bytes.
    peak_bytes
        Memory that the loop takes at the same time, in bytes, in each process that reads: windows in use and read
        ahead, a last one that is less than half as large, which is read into memory of its own, and chunks that
        threads decode. Without the row table, obs and the hooks' own. One window more comes to it where the last batch
        of a window is held on to while the next ones are asked for.
    bytes_read_per_row
        Stored bytes that are read for each row, in bytes.
    requests_per_window
        Calls to the system in a window.
    fetches_per_window, bytes_fetched_per_row
        Requests to an object store in a window, and the bytes that they fetch for each row; 0 for files. Fetched bytes
        are cached: each window finds those of the windows before it that are examined, and of all earlier reads.
    chunks_per_window
        Encoded chunks that are decoded in a window; 0 for plain bytes.
    read_amplification
        Bytes decoded, or read if they are plain, for each byte of a row; at least 1.
    labels
        The labels of the diversity: the name of a column, ``"files"`` or ``"labels"``; None if there is nothing to mix.
    diversity
        The expected entropy of these labels in a batch, and that in true random order.
    notes
        Remarks on fields that are unknown, and on costs that are not counted.
    """

    rows: int
    collection_rows: int
    batch_size: int
    fetch_factor: int
    batches: int
    windows: int
    window_rows: int
    rank: int
    world_size: int
    batches_of_rank: int
    batches_of_workers: tuple[int, ...]
    windows_examined: int
    row_bytes: float | None
    window_bytes: int | None
    peak_bytes: int | None
    bytes_read_per_row: float | None
    requests_per_window: float | None
    fetches_per_window: float | None
    bytes_fetched_per_row: float | None
    chunks_per_window: float | None
    read_amplification: float | None
    labels: str | None
    diversity: Diversity | None
    notes: tuple[str, ...]

    def as_dict(self) -> Json:
        """Return all fields, as JSON takes them."""
        shallow = {one.name: getattr(self, one.name) for one in fields(self)}
        mixed = None if self.diversity is None else self.diversity.as_dict()
        listed = {"batches_of_workers": list(self.batches_of_workers), "notes": list(self.notes)}
        return {**shallow, **listed, "diversity": mixed}

    def __str__(self) -> str:
        return text_table("An epoch of this dataset", self._table())

    def _repr_html_(self) -> str:
        return html_table("An epoch of this dataset", self._table())

    def _table(self) -> list[tuple[str, str]]:
        return [*self._counts(), *self._costs(), *self._mixing(), *(("note", note) for note in self.notes)]

    def _counts(self) -> list[tuple[str, str]]:
        ranks = f"; {self.batches_of_rank:,} on rank {self.rank} of {self.world_size}" if self.world_size > 1 else ""
        workers = ", ".join(f"{n:,}" for n in self.batches_of_workers)
        rows = f"{self.rows:,}" + ("" if self.rows == self.collection_rows else f" of {self.collection_rows:,}")
        window = f"{self.window_rows:,} ({counted(self.fetch_factor, 'batch')} of {self.batch_size})"
        counts = [("rows", rows), ("batches", f"{self.batches:,}{ranks}")]
        counts += [("batches of workers", workers)] if workers else []
        return [*counts, ("windows", f"{self.windows:,}"), ("rows of a window", window)]

    def _costs(self) -> list[tuple[str, str]]:
        values = [
            ("memory of a row", self.row_bytes, size),
            ("memory of a window", self.window_bytes, size),
            ("peak memory", self.peak_bytes, size),
            ("read for a row", self.bytes_read_per_row, size),
            ("requests a window", self.requests_per_window, _number),
            *(self._fetches() if self.fetches_per_window else []),
            ("chunks a window", self.chunks_per_window, _number),
            ("read amplification", self.read_amplification, lambda times: f"{times:.2f} x"),
        ]
        return [(name, "unknown" if value is None else show(value)) for name, value, show in values]

    def _fetches(self) -> list[tuple[str, float | None, Callable[[float], str]]]:
        return [
            ("requests to a store a window", self.fetches_per_window, _number),
            ("fetched for a row", self.bytes_fetched_per_row, size),
        ]

    def _mixing(self) -> list[tuple[str, str]]:
        return [] if self.diversity is None else [(f"entropy of {self.labels}", str(self.diversity))]


def explained(plan: Plan, labels: ArrayLike | str | None = None, num_workers: int = 0) -> Explanation:
    """Return the explanation of an epoch; see `scDataset.explain`."""
    num_workers = whole("num_workers", num_workers, minimum=0)
    name, codes = labels_of(plan.source, plan.collection, plan.n_rows, labels)
    part = plan.partition
    assignment = part.worker_assignment(max(num_workers, 1), in_order=plan.in_order)
    n_windows = -(-part.n_batches // part.fetch_factor)
    numbers = _spread(n_windows, part.batch_size * part.fetch_factor)
    windows = plan.windows(numbers)
    of_workers = tuple(assignment.n_steps_of(worker) for worker in range(num_workers))
    mixed = None
    if codes is not None and part.n_batches:
        mixed = expected(codes, part, plan.order_of, plan.block_size, plan.seed)
    return Explanation(
        rows=min(part.n_samples, part.n_batches * part.batch_size),
        collection_rows=plan.n_rows,
        batch_size=part.batch_size,
        fetch_factor=part.fetch_factor,
        batches=part.n_batches,
        windows=n_windows,
        window_rows=part.batch_size * part.fetch_factor,
        rank=part.rank,
        world_size=part.world_size,
        batches_of_rank=len(part),
        batches_of_workers=of_workers,
        windows_examined=len(windows),
        labels=name if mixed is not None else None,
        diversity=mixed,
        **_costs(plan, windows, max(of_workers, default=len(part))),
    )


def labels_of(
    source: object, collection: object, n_rows: int, labels: ArrayLike | str | None
) -> tuple[str | None, NDArray[np.int64] | None]:
    """Return the name of labels and their codes, shape ``(n_rows,)``; None twice where there is nothing to mix.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        If there is no such column, or not one label a row.
    """
    if labels is None:
        sizes = collection.file_sizes if isinstance(collection, HasFiles) else []
        if len(sizes) < 2 or sum(sizes) != n_rows:
            return None, None
        return FILES, np.repeat(np.arange(len(sizes)), sizes)
    if isinstance(labels, str):
        return labels, codes_of(cast("ArrayLike", _column(source, collection, labels)))
    codes = codes_of(cast("ArrayLike", labels))
    if codes.size != n_rows:
        found = f"{counted(codes.size, 'entry')} and the collection {counted(n_rows, 'row')}"
        message = f"labels has {found}; give one label a row."
        raise ArgumentValueError(message)
    return "labels", codes


def _column(source: object, collection: object, name: str) -> object:
    if isinstance(collection, HasObsFrame):
        return collection.obs_frame([name])[name]
    obs = getattr(source, "obs", None)
    if obs is None:
        message = (
            f"labels={name!r} names a column of obs, which a {type(source).__name__} does not have; give the labels "
            "themselves, one a row."
        )
        raise ArgumentTypeError(message)
    if name not in obs:
        message = f"labels={name!r}: obs has no such column; it has {list(obs)}."
        raise ArgumentValueError(message)
    return obs[name]


def _spread(n_windows: int, window_rows: int) -> list[int]:
    """Return which windows are examined."""
    wanted = min(n_windows, max(_EXAMINED_ROWS // window_rows, _FEWEST_WINDOWS))
    return sorted(set(np.linspace(0, n_windows - 1, wanted).astype(int).tolist())) if wanted else []


def _costs(plan: Plan, windows: Sequence[NDArray[np.int64]], n_batches: int) -> dict[str, Any]:
    """Return the fields of an `Explanation` about memory and reading, of processes that yield ``n_batches``."""
    costs = [_read_cost(plan, rows) for rows in windows]
    total, n_rows = sum(costs, ReadCost()), sum(rows.size for rows in windows)
    a_row, largest = _per(total.result_bytes, n_rows), max((cost.result_bytes or 0 for cost in costs), default=0)
    if total.result_bytes is None and plan.collection is not None and "fetch_callback" not in plan.hooks:
        a_row = row_bytes(plan.source, plan.collection)
        largest = round((a_row or 0) * max(rows.size for rows in windows))
    peak = None
    if a_row is not None:
        part, is_pooled = plan.partition, total.result_bytes is not None
        batch_bytes = a_row * part.batch_size
        sizes = WindowSizes.from_batches(n_batches, part.fetch_factor, largest, batch_bytes, is_pooled=is_pooled)
        peak = peak_memory(plan.windows_held, sizes, total.largest_chunk or 0)
    return {
        "row_bytes": a_row,
        "window_bytes": None if a_row is None else largest,
        "peak_bytes": peak,
        "bytes_read_per_row": _per(total.bytes, n_rows),
        "requests_per_window": _per(total.requests, len(windows)),
        **_fetched(costs, n_rows),
        "chunks_per_window": _per(total.chunks, len(windows)),
        "read_amplification": total.amplification,
        "notes": tuple(_notes(plan, total, a_row)),
    }


def _fetched(costs: Sequence[ReadCost], n_rows: int) -> dict[str, Any]:
    """Return the fields about requests to object stores, given the costs of windows that are read one by one."""
    plan = FetchPlan()
    sizes = [n_bytes for cost in costs for asked in cost.asked for n_bytes in plan.add(*asked)]
    known = all(cost.bytes is not None for cost in costs)
    return {
        "fetches_per_window": _per(len(sizes) if known else None, len(costs)),
        "bytes_fetched_per_row": _per(sum(sizes) if known else None, n_rows),
    }


def _read_cost(plan: Plan, rows: NDArray[np.int64]) -> ReadCost:
    if "fetch_callback" in plan.hooks or not isinstance(plan.collection, TellsReadCost):
        return ReadCost.unknown()
    return plan.collection.read_cost(rows)


def _per(total: int | None, n: int) -> float | None:
    return None if total is None or not n else total / n


def _notes(plan: Plan, total: ReadCost, a_row: float | None) -> Iterator[str]:
    """Yield remarks on unknown fields, and on costs that are not counted."""
    name = type(plan.source).__name__
    if "fetch_callback" in plan.hooks:
        yield "fetch_callback reads in its own way: reads and memory are unknown."
    elif not plan.windows_held:
        yield f"Batches are taken from the memory of the {name}; there are no windows and no reads."
    elif total.bytes is None:
        yield f"How a {name} reads from its storage is not known here."
    if a_row is None and "fetch_callback" not in plan.hooks:
        yield f"The size of a row of a {name} is known once it is read."
    yield from _note_on_ranks(plan.partition)
    others = [hook for hook in plan.hooks if hook != "fetch_callback"]
    if others:
        yield f"Memory of {' and '.join(others)} is not counted."


def _note_on_ranks(part: Partition) -> Iterator[str]:
    more = 0 if part.uneven else part.world_size * len(part) - part.n_batches
    if more:
        yield f"Ranks end equal: {counted(abs(more), 'batch')} {'repeated' if more > 0 else 'dropped'}."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:,.1f}"
