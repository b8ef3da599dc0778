"""Measure how fast a loader reads a file on its disk, against the limit of the machine for the same bytes."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import number, whole
from scdataset._progress import late_bar
from scdataset._tables import counted
from scdataset._types import Json
from scdataset.cells.collection import CellCollection
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.probe import probing
from scdataset.cells.formats.registry import Options, open_file
from scdataset.cells.modalities import ModalityCollection
from scdataset.cells.open import open_collection
from scdataset.cells.sources import Source
from scdataset.dataset.dataset import scDataset
from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.threads import Threads
from scdataset.errors import ArgumentValueError
from scdataset.insight.limits import WindowReads
from scdataset.strategy import BlockShuffling

__all__ = ["BenchResult", "bench"]

_TURNS = 2
"""The loader and the limit are measured in turns, so that both see the same machine."""

_MOST_FILES = 256
"""Most files for which the limit is measured, since they are opened a second time for it."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Throughput of a loader, and the limit of the machine.

    Attributes
    ----------
    rows_per_second
        Rows in batches a second, from shuffled blocks, nothing done with them.
    limit
        Rows a second whose bytes the same threads read into one reused buffer, decoded where they are encoded; None
        where the storage is not one of byte ranges or chunks.
    decodes
        Whether the limit includes decoding.
    bytes_per_second
        Plain bytes a second that the loader's rate stands for; None where rows are encoded.
    from_disk
        Bytes that came from the disk during all of it, and not from memory; None where the system does not tell.
    n_rows
        Rows that were delivered and timed.
    seconds
        Time they took.
    batch_size, block_size, fetch_factor, threads
        The settings; ``fetch_factor`` is less than asked for where the file has fewer rows than a window.
    """

    rows_per_second: float
    limit: float | None
    decodes: bool
    bytes_per_second: float | None
    from_disk: int | None
    n_rows: int
    seconds: float
    batch_size: int
    block_size: int
    fetch_factor: int
    threads: int

    @property
    def share(self) -> float | None:
        """The loader's rate as a share of the limit."""
        return None if not self.limit else self.rows_per_second / self.limit

    def as_dict(self) -> Json:
        """Return all fields as JSON-serialisable values."""
        return {**asdict(self), "share": self.share}

    def __str__(self) -> str:
        limit = "" if self.share is None else f", {100 * self.share:.0f}% of the limit of {self.limit:,.0f}"
        return f"{counted(self.rows_per_second, 'row')} a second{limit}"


def bench(
    source: Source | Sequence[Source],
    *,
    batch_size: int = 64,
    block_size: int = 16,
    fetch_factor: int = 256,
    seconds: float = 4.0,
    **options: Any,
) -> BenchResult:
    """Measure a few seconds of shuffled reading, in turns with the limit of the machine for other rows of the file.

    Parameters
    ----------
    source
        As for `open_collection`.
    batch_size, block_size, fetch_factor
        As for `scDataset` and `BlockShuffling`.
    seconds
        Time to measure for, half of it the loader and half the limit; starting takes a little more.
    **options
        For `open_collection`, such as ``layer`` and ``modality``.

    Raises
    ------
    ArgumentValueError
        If there is no such file, or it has no cells; or several modalities, of which one has to be given.

    Examples
    --------
    >>> print(bench("heart.h5ad", seconds=2))  # doctest: +SKIP
    241,000 rows a second, 71% of the limit of 339,000
    """
    batch_size, block_size = whole("batch_size", batch_size, minimum=1), whole("block_size", block_size, minimum=1)
    fetch_factor = whole("fetch_factor", fetch_factor, minimum=1)
    if not 0 < number("seconds", seconds) < float("inf"):
        message = f"seconds={seconds!r}; give a number above 0."
        raise ArgumentValueError(message)
    cells = _checked(open_collection(source, **options))
    fetch_factor = max(min(fetch_factor, len(cells) // batch_size), 1)
    settings = {"batch_size": batch_size, "block_size": block_size, "fetch_factor": fetch_factor}
    with closing(cells), ExitStack() as stack, late_bar("Measuring", 2 * _TURNS) as advance:
        limit = _Limit(cells, options, block_size, batch_size * fetch_factor, stack)
        return _measured(cells, limit, seconds / _TURNS / 2, settings, advance)


def _checked(cells: CellCollection | ModalityCollection) -> CellCollection:
    """Return a collection of one matrix, with cells."""
    if not isinstance(cells, CellCollection):
        message = f"The file has the modalities {list(cells.modalities)}; give one, modality=...."
        raise ArgumentValueError(message)
    if not len(cells):
        message = f"{cells.files[0]} has no cells; there is nothing to read."
        raise ArgumentValueError(message)
    return cells


def _measured(
    cells: CellCollection, limit: "_Limit", seconds: float, settings: dict[str, int], advance: Callable[[int], None]
) -> BenchResult:
    before = _bytes_from_disk()
    loader = most = (0, 0.0)
    for turn in range(_TURNS):
        loader = _sum(loader, _load(cells, seconds, turn, **settings))
        advance(1)
        most = _sum(most, limit.measure(seconds))
        advance(1)
    after = _bytes_from_disk()
    rate = loader[0] / loader[1]
    return BenchResult(
        rate,
        most[0] / most[1] if most[1] else None,
        limit.decodes,
        None if limit.row_bytes is None else rate * limit.row_bytes,
        None if before is None or after is None else after - before,
        *loader,
        **settings,
        threads=Threads().count,
    )


def _sum(one: tuple[int, float], other: tuple[int, float]) -> tuple[int, float]:
    return one[0] + other[0], one[1] + other[1]


def _load(
    cells: CellCollection, seconds: float, seed: int, *, batch_size: int, block_size: int, fetch_factor: int
) -> tuple[int, float]:
    """Return rows that were delivered, and the seconds that took: whole windows, the first not counted."""
    dataset = scDataset(cells, BlockShuffling(block_size), batch_size, fetch_factor, seed=seed)
    batches = itertools.chain.from_iterable(iter(dataset) for _ in itertools.count())
    _rows_of(batches, fetch_factor)
    begun, n_rows = time.perf_counter(), 0
    while not n_rows or time.perf_counter() - begun < seconds:
        n_rows += _rows_of(batches, fetch_factor)
    return n_rows, time.perf_counter() - begun


def _rows_of(batches: Iterator[Sized], count: int) -> int:
    return sum(len(batch) for batch in itertools.islice(batches, count))


class _Limit:
    """The limit of the machine for windows of rows.

    Parameters
    ----------
    cells, options
        The collection, and the options by which it was opened.
    block_size, window
        Rows in a block and in a window.
    stack
        Closes the files in the end.
    """

    def __init__(
        self, cells: CellCollection, options: Mapping[str, Any], block_size: int, window: int, stack: ExitStack
    ) -> None:
        paths = cells.files if len(cells.files) <= _MOST_FILES else []
        files = [stack.enter_context(closing(_opened(path, options))) for path in paths]
        self._matrices = [file.matrix for file in files]
        self._firsts = np.cumsum([0, *(matrix.shape[0] for matrix in self._matrices)]).tolist()
        self._threads = Threads()
        self._ahead = stack.enter_context(ThreadPoolExecutor(1))
        self._windows = _windows(len(cells), block_size, window)
        self.decodes = False
        self.row_bytes: float | None = None

    def measure(self, seconds: float) -> tuple[int, float]:
        """Return rows that were read, and the seconds that took; none where the storage is of another kind."""
        rows = next(self._windows)
        reads = self._reads(rows)
        if reads is None:
            return 0, 0.0
        buffers, n_rows, spent = reads.buffers(self._threads), 0, 0.0
        reads.run(self._threads, buffers)  # compiles what it takes
        while spent < seconds:
            following = next(self._windows)
            later = self._ahead.submit(self._announced, following)
            begun = time.perf_counter()
            reads.run(self._threads, buffers)
            spent += time.perf_counter() - begun
            n_rows += rows.size
            rows, reads = following, later.result() or reads
        self.decodes = bool(reads.encoded)
        self.row_bytes = None if reads.encoded else reads.n_bytes / rows.size
        return n_rows, spent

    def _reads(self, rows: NDArray[np.int64]) -> WindowReads | None:
        return WindowReads.from_rows(self._matrices, self._firsts, rows)

    def _announced(self, rows: NDArray[np.int64]) -> WindowReads | None:
        for matrix, first, last in zip(self._matrices, self._firsts[:-1], self._firsts[1:], strict=True):
            own = rows[(rows >= first) & (rows < last)] - first
            matrix.announce(own)
        return self._reads(rows)


def _opened(path: str, options: Mapping[str, Any]) -> CellFile:
    names = {one.name: options[one.name] for one in fields(Options) if options.get(one.name) is not None}
    with using_options(options.get("storage_options")), probing(path) as probe:
        return open_file(probe, Options(**names))


def _windows(n_rows: int, block_size: int, window: int) -> Iterator[NDArray[np.int64]]:
    """Yield rows of windows of epochs, ascending, other ones than the loader reads."""
    for epoch in itertools.count():
        order = BlockShuffling(block_size).order(n_rows, seed=1, epoch=epoch)
        for start in range(0, max(n_rows - window, 0) + 1, window):
            yield np.sort(order.rows(start, min(start + window, n_rows)))


def _bytes_from_disk() -> int | None:
    """Return the bytes that this process has had read from disks; None where the system does not tell."""
    try:
        lines = Path("/proc/self/io").read_text("utf-8").splitlines()
        return int(dict(line.split(": ") for line in lines)["read_bytes"])
    except (OSError, ValueError, KeyError):
        return None
