"""Read spans of stored arrays to their places in the result, with all threads."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scdataset._types import Array, DType
from scdataset.engine.arrays.many_files import MANY, ManyReads, PlainArrays, is_joinable, tasks_of_many
from scdataset.engine.arrays.spans import ANY, Columns, Spans, scatter
from scdataset.engine.arrays.stored_arrays import StoredArray, Task
from scdataset.engine.context import ReadContext
from scdataset.engine.observer import SCATTER, observed

__all__ = ["Read", "run_reads"]


@dataclass(frozen=True, slots=True)
class Read:
    """Spans of a stored array, and the array that they go to."""

    array: StoredArray
    spans: Spans
    out: Array
    columns: Columns = ANY

    @property
    def alike(self) -> tuple[DType, int] | None:
        """Common properties of reads that may be done together: plain bytes of one type that go to one array."""
        return (self.array.dtype, id(self.out)) if is_joinable(self.array) else None

    def packed(self, context: ReadContext) -> "Read":
        """Return the same spans side by side in memory of the stored type."""
        size = int(self.spans.lengths.sum())
        return Read(self.array, self.spans.packed(), context.buffers.empty(size, self.array.dtype))

    def unpack(self, packed: "Read") -> None:
        """Convert elements that were read side by side, and put them in their places."""
        spans = Spans(packed.spans.places, self.spans.lengths, self.spans.places)
        with observed(SCATTER):
            scatter(packed.out.astype(self.out.dtype), spans, self.out)


def run_reads(reads: Sequence[Read], context: ReadContext) -> None:
    """Read everything with all threads, many files together, and convert arrays that are stored as another type."""
    made = []
    for read in reads:  # column numbers go to their places at once, and values of the type of the result
        is_direct = read.columns is not ANY or read.array.dtype == read.out.dtype
        made.append(read if is_direct else read.packed(context))
    alone, joined = (made, []) if len(made) < MANY else _grouped(made)
    sizes, n_tasks = [int(read.spans.lengths.sum()) for read in alone], context.n_tasks
    share = n_tasks / max(sum(sizes), 1)
    tasks: list[Task] = []
    for read, size in zip(alone, sizes, strict=True):
        tasks += read.array.tasks(read.spans, read.out, read.columns, max(round(size * share), 1))
    if joined:
        tasks += _tasks_of_joined(joined, n_tasks)
    context.threads.run(operator.call, tasks)
    for read, packed in zip(reads, made, strict=True):
        if packed is not read:
            read.unpack(packed)


def _grouped(reads: Sequence[Read]) -> tuple[list[Read], list[ManyReads]]:
    """Divide reads into single ones and groups that can be joined."""
    groups: dict[object, list[Read]] = {}
    for read in reads:
        groups.setdefault(read.alike, []).append(read)
    alone = groups.pop(None, [])
    joined = []
    for group in groups.values():
        if len(group) < MANY:
            alone += group
        else:
            joined.append(_joined(group))
    return alone, joined


def _joined(group: Sequence[Read]) -> ManyReads:
    """Return reads that are alike as one."""
    arrays = [read.array for read in group if is_joinable(read.array)]
    spans = Spans(
        np.concatenate([read.spans.starts for read in group]),
        np.concatenate([read.spans.lengths for read in group]),
        np.concatenate([read.spans.places for read in group]),
    )
    bounds = np.cumsum([0, *(read.spans.starts.size for read in group)])
    plain = PlainArrays(arrays, [read.columns for read in group])
    return ManyReads(plain, np.arange(len(group)), spans, bounds, group[0].out)


def _tasks_of_joined(joined: Sequence[ManyReads], n_parts: int) -> list[Task]:
    """Return tasks of reads of many files each, those of the same files together."""
    same: dict[object, list[ManyReads]] = {}
    for read in joined:
        same.setdefault(tuple(map(id, read.files)), []).append(read)
    return [task for arrays in same.values() for task in tasks_of_many(arrays, n_parts)]
