"""Spans of stored arrays, read to where they go with all threads."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.elements import Elements, PlainElements, Task
from scdataset.engine.kernels import READS_COMPILED
from scdataset.engine.many_files import ManyReads, tasks_of_many
from scdataset.engine.slabs import SlabPool
from scdataset.engine.spans import ANY, Columns, Spans, scatter
from scdataset.engine.threads import Threads

__all__ = ["Read", "StackedRead", "n_tasks", "run_reads", "run_stacked"]

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
        kind = _kind(self.elements, self.columns)
        return None if kind is None else (*kind, id(self.out))

    def packed(self, slabs: SlabPool) -> "Read":
        """Return the same spans side by side in memory of the stored type."""
        size = int(self.spans.lengths.sum())
        return Read(self.elements, self.spans.packed(), slabs.empty(size, self.elements.dtype))

    def unpack(self, packed: "Read") -> None:
        """Convert elements that were read side by side, and put them in their places."""
        spans = Spans(packed.spans.places, self.spans.lengths, self.spans.places)
        scatter(packed.out.astype(self.out.dtype), spans, self.out)


@dataclass(frozen=True, slots=True)
class StackedRead:
    """Spans of many stored arrays that go to one array.

    Attributes
    ----------
    elements, columns
        The arrays, and for each the bounds of its column numbers.
    spans, bounds
        Array k has the spans ``bounds[k]`` up to ``bounds[k + 1]``.
    out
        Where they go.
    """

    elements: list[Elements]
    columns: list[Columns]
    spans: Spans
    bounds: NDArray[np.int64]
    out: NDArray[Any]

    def joined(self) -> ManyReads | None:
        """Return all of it as one read, or None if arrays are few or not alike."""
        if len(self.elements) < _MANY:
            return None
        kinds = set(map(_kind, self.elements, self.columns))
        plain = [elements for elements in self.elements if isinstance(elements, PlainElements)]
        if len(kinds) > 1 or None in kinds or not Read(self.elements[0], self.spans, self.out, self.columns[0]).direct:
            return None
        return ManyReads(plain, self.spans, self.bounds, self.out, self.columns[0])

    def apart(self) -> list[Read]:
        """Return a read of each array."""
        bounds = self.bounds.tolist()
        return [
            Read(elements, self.spans.part(*bounds[k : k + 2]), self.out, columns)
            for k, (elements, columns) in enumerate(zip(self.elements, self.columns, strict=True))
        ]


def run_stacked(stacked: Sequence[StackedRead], slabs: SlabPool, threads: Threads) -> None:
    """Do as `run_reads` for each array of each stack: without Python's work for each where they are alike."""
    joined = [one for read in stacked if (one := read.joined()) is not None]
    if len(joined) == len(stacked):
        threads.run(operator.call, _tasks_of_joined(joined, n_tasks(threads)))
    else:
        run_reads([read for one in stacked for read in one.apart()], slabs, threads)


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
    joined = []
    for group in groups.values():
        if len(group) < _MANY:
            alone += group
        else:
            joined.append(_joined(group))
    return _tasks_alone(alone, n_parts) + _tasks_of_joined(joined, n_parts)


def _joined(group: Sequence[Read]) -> ManyReads:
    """Return reads that are alike as one."""
    plain = [read.elements for read in group if isinstance(read.elements, PlainElements)]
    spans = Spans(
        np.concatenate([read.spans.starts for read in group]),
        np.concatenate([read.spans.lengths for read in group]),
        np.concatenate([read.spans.places for read in group]),
    )
    bounds = np.cumsum([0, *(read.spans.starts.size for read in group)])
    return ManyReads(plain, spans, bounds, group[0].out, group[0].columns)


def _tasks_of_joined(joined: Sequence[ManyReads], n_parts: int) -> list[Task]:
    """Return tasks of reads of many files each, those of the same files together."""
    same: dict[Any, list[ManyReads]] = {}
    for read in joined:
        same.setdefault(tuple(map(id, read.files)), []).append(read)
    return [task for arrays in same.values() for task in tasks_of_many(arrays, n_parts)]


def _kind(elements: Elements, columns: Columns) -> tuple[Any, ...] | None:
    """Return common properties of arrays that may be read together, or None for one that is read alone."""
    if not (READS_COMPILED and type(elements) is PlainElements and isinstance(elements.file, LocalFile)):
        return None
    if elements.file.checks:
        return None
    return elements.dtype, columns.limit, id(columns.table)


def _tasks_alone(reads: Sequence[Read], n_parts: int) -> list[Task]:
    sizes = [int(read.spans.lengths.sum()) for read in reads]
    share = n_parts / max(sum(sizes), 1)
    tasks: list[Task] = []
    for read, size in zip(reads, sizes, strict=True):
        tasks += read.elements.tasks(read.spans, read.out, read.columns, max(round(size * share), 1))
    return tasks
