"""Spans of stored arrays, read to where they go with all threads."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.elements import ANY, Columns, Elements, PlainElements, Spans, Task
from scdataset.engine.kernels import NO_LIMIT, READS_COMPILED, scatter_piece
from scdataset.engine.many_files import ManyReads, tasks_of_many
from scdataset.engine.slabs import SlabPool
from scdataset.engine.threads import Threads

__all__ = ["Read", "n_tasks", "run_reads"]

_TASKS_PER_THREAD = 8
"""Tasks of a read for each thread, so that one that is slow keeps the others waiting for less."""


_MANY = 8
"""Arrays from which on they are read together rather than one by one."""


def n_tasks(threads: Threads) -> int:
    """Return in about how many parts to read something."""
    return threads.count * _TASKS_PER_THREAD if threads.count > 1 else 1


@dataclass(frozen=True, slots=True)
class Read:
    """Spans of a stored array, and the array that they go to."""

    elements: Elements
    spans: Spans
    out: NDArray[Any]
    columns: Columns = ANY

    @property
    def direct(self) -> bool:
        """Whether elements go to ``out`` at once: column numbers do, and values of its type."""
        return self.columns is not ANY or self.elements.dtype == self.out.dtype

    @property
    def alike(self) -> Any:
        """Common properties of reads that may be done together: plain bytes of one type that go to one array."""
        if not (READS_COMPILED and type(self.elements) is PlainElements) or self.elements.file.checks:
            return None
        return self.elements.dtype, id(self.out), self.columns.limit, id(self.columns.table)

    def packed(self, slabs: SlabPool) -> "Read":
        """Return the same spans side by side in memory of the stored type."""
        ends = np.cumsum(self.spans.lengths)
        spans = Spans(self.spans.starts, self.spans.lengths, ends - self.spans.lengths)
        size = int(ends[-1]) if ends.size else 0
        return Read(self.elements, spans, slabs.empty(size, self.elements.dtype))

    def unpack(self, packed: "Read") -> None:
        """Convert elements that were read side by side, and put them in their places."""
        converted = packed.out.astype(self.out.dtype)
        unsigned = np.dtype(f"u{converted.itemsize}")
        where = packed.spans.places, self.spans.lengths, self.spans.places
        scatter_piece(
            converted.view(unsigned), 0, 0, where[0].size, *where, self.out.view(unsigned), NO_LIMIT, ANY.table
        )


def run_reads(reads: Sequence[Read], slabs: SlabPool, threads: Threads) -> None:
    """Read everything with all threads, and convert arrays that are stored as another type."""
    made = [read if read.direct else read.packed(slabs) for read in reads]
    threads.run(operator.call, _tasks(made, n_tasks(threads)))
    for read, packed in zip(reads, made, strict=True):
        if packed is not read:
            read.unpack(packed)


def _tasks(reads: Sequence[Read], n_parts: int) -> list[Task]:
    """Return about ``n_parts`` tasks that do some reads."""
    groups: dict[Any, list[Read]] = {}
    for read in reads:
        groups.setdefault(read.alike, []).append(read)
    alone = groups.pop(None, [])
    many: dict[Any, list[ManyReads]] = {}
    for group in groups.values():
        if len(group) < _MANY:
            alone += group
            continue
        plain = [read.elements for read in group if isinstance(read.elements, PlainElements)]
        joined = ManyReads(plain, [read.spans for read in group], group[0].out, group[0].columns)
        many.setdefault(tuple(map(id, joined.files)), []).append(joined)
    tasks = _tasks_alone(alone, n_parts)
    for arrays in many.values():
        tasks += tasks_of_many(arrays, n_parts)
    return tasks


def _tasks_alone(reads: Sequence[Read], n_parts: int) -> list[Task]:
    sizes = [int(read.spans.lengths.sum()) for read in reads]
    share = n_parts / max(sum(sizes), 1)
    tasks: list[Task] = []
    for read, size in zip(reads, sizes, strict=True):
        tasks += read.elements.tasks(read.spans, read.out, read.columns, max(round(size * share), 1))
    return tasks
