"""Spans of many files of plain bytes, read by a few compiled loops.

files ──► groups ──► descriptors of a group ──► a loop over its spans for each array ──► is each file unchanged?

Python's work for a file costs as much as reading some dozen rows of it.
"""

from collections.abc import Callable, Sequence
from typing import TypeGuard

import numba
import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.engine.arrays.spans import Columns, Spans, scratch
from scdataset.engine.arrays.stored_arrays import BUFFER_BYTES, GAP_BYTES, PlainArray, StoredArray, Task, equal_tasks
from scdataset.engine.bytes.descriptors import all_opened
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.kernels.addresses import address_of, pointer
from scdataset.engine.kernels.gather import READS_COMPILED, gather_numbers, gather_spans
from scdataset.engine.observer import READ, observed, observer_here

__all__ = ["MANY", "ManyReads", "PlainArrays", "is_joinable", "tasks_of_files", "tasks_of_many"]

MANY = 8
"""Arrays from which on they are read together rather than one by one."""

_TOGETHER = 32
"""Files that a thread has open at the same time at most."""


class PlainArrays:
    """Arrays of one type, each plain bytes of another file.

    Parameters
    ----------
    arrays
        The arrays; `is_joinable` is true of each.
    columns
        For each array the bounds of its column numbers.

    Attributes
    ----------
    files
        The file of each array.
    """

    def __init__(self, arrays: Sequence[PlainArray], columns: Sequence[Columns]) -> None:
        self.arrays = arrays
        self.columns = columns
        self.files = [one.file for one in arrays if isinstance(one.file, LocalFile)]
        self.table = np.array(
            [
                (address_of(one.offsets), one.offsets.size, one.chunk, own.limit, address_of(own.table), own.table.size)
                for one, own in zip(arrays, columns, strict=True)
            ]
        )

    def change(self, out: Array) -> bool:
        """Tell whether stored numbers of an array differ from those in ``out``, in value or in size."""
        return bool(self.table[:, 5].any()) or out.itemsize != self.arrays[0].dtype.itemsize

    def note_requests(
        self,
        numbers: NDArray[np.int64],
        bounds: NDArray[np.int64],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        max_gap: int,
        room: int,
        *,
        split: bool = False,
    ) -> None:
        """Count the bytes and calls of reading spans of some of the arrays, as `PlainArray.note_requests` does."""
        spans = Spans(starts, lengths, starts)
        for number, *own in zip(numbers.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            self.arrays[number].note_requests(spans.part(*own), max_gap, room, split=split)


def is_joinable(array: StoredArray) -> TypeGuard[PlainArray]:
    """Tell whether an array is plain bytes of a file that compiled loops read without further checks."""
    if not (READS_COMPILED and type(array) is PlainArray and isinstance(array.file, LocalFile)):
        return False
    return not array.file.checks and array.offsets.dtype == np.int64 and array.offsets.flags.c_contiguous


class ManyReads:
    """Spans of many arrays that go to one array.

    Parameters
    ----------
    arrays, numbers
        The arrays, and which of them are read.
    spans, bounds
        The k-th of those that are read has the spans ``bounds[k]`` up to ``bounds[k + 1]``.
    out
        Where they go: an array of their type, or of column numbers.
    """

    def __init__(
        self,
        arrays: PlainArrays,
        numbers: NDArray[np.int64],
        spans: Spans,
        bounds: NDArray[np.int64],
        out: Array,
    ) -> None:
        self.files = [arrays.files[number] for number in numbers.tolist()]
        self._arrays = arrays
        self._numbers = numbers
        self._spans = spans
        self._bounds = bounds
        self._out = out
        self._changes = arrays.change(out)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Elements that are read of each file, shape ``(n_files,)``."""
        ends = np.concatenate(([0], np.cumsum(self._spans.lengths)))
        sizes: NDArray[np.int64] = np.diff(ends[self._bounds])
        return sizes

    def read(self, first: int, last: int, descriptors: NDArray[np.int64]) -> int:
        """Read the spans of files [first, last), and return how many files could be read."""
        item, out = self._arrays.arrays[0].dtype.itemsize, self._out
        table, bounds = self._arrays.table[self._numbers[first:last]], self._bounds[first : last + 1]
        where = bounds, self._spans.starts, self._spans.lengths, self._spans.places
        max_gap, buffer = GAP_BYTES // item, scratch("buffer", BUFFER_BYTES)
        if observer_here() is not None:
            own, room = (bounds, *where[1:3]), BUFFER_BYTES // item
            self._arrays.note_requests(self._numbers[first:last], *own, max_gap, room, split=self._changes)
        with observed(READ):
            if not self._changes:
                return _gather_files(descriptors, table, item, *where, out.view(np.uint8), max_gap, buffer)
            numbers = out.view(f"u{out.itemsize}")
            return _gather_files_of_numbers(descriptors, table, *where, numbers, max_gap, buffer.view(f"u{item}"))

    def read_apart(self, number: int) -> None:
        """Read the spans of one file by itself, which goes on after a signal and names errors."""
        own, which = self._spans.part(*self._bounds[number : number + 2]), int(self._numbers[number])
        for read, *part in self._arrays.arrays[which].tasks(own, self._out, self._arrays.columns[which], 1):
            read(*part)


def tasks_of_many(arrays: Sequence[ManyReads], n_parts: int) -> list[Task]:
    """Return about ``n_parts`` tasks that read arrays which lie in the same files."""
    files = arrays[0].files

    def work(first: int, last: int) -> None:
        with all_opened(files[first:last]) as opened:
            n_read = [array.read(first, last, np.array(opened)) for array in arrays]
        for file in files[first:last]:
            file.check()
        for array, n_files in zip(arrays, n_read, strict=True):
            for number in range(first + n_files, last):
                array.read_apart(number)

    sizes = np.sum([array.sizes for array in arrays], axis=0)
    return tasks_of_files(work, sizes, n_parts)


def tasks_of_files(work: Callable[[int, int], None], sizes: NDArray[np.int64], n_parts: int) -> list[Task]:
    """Divide work on files into tasks of about equal ``sizes``, ``n_parts`` or more, each of `_TOGETHER` at most."""
    return [
        (work, start, min(start + _TOGETHER, last))
        for _, first, last in equal_tasks(work, sizes, n_parts)
        for start in range(first, last, _TOGETHER)
    ]


@compiled
def _gather_files(
    descriptors: NDArray[np.int64],
    table: NDArray[np.int64],
    item: int,
    bounds: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.uint8],
    max_gap: int,
    buffer: NDArray[np.uint8],
) -> int:
    """Do as `gather_spans` for one file after the other, and return how many were read whole.

    File k has the row k of ``table``, as in `PlainArrays`, and spans ``bounds[k]`` up to ``bounds[k + 1]``.
    """
    for k in range(descriptors.size):
        own = slice(bounds[k], bounds[k + 1])
        offsets = numba.carray(pointer(table[k, 0]), (table[k, 1],), np.int64)
        status, _ = gather_spans(
            descriptors[k], offsets, table[k, 2], item, starts[own], lengths[own], places[own], out, table[k, 3],
            max_gap, buffer,
        )  # fmt: skip
        if status:
            return k
    return descriptors.size


@compiled
def _gather_files_of_numbers(
    descriptors: NDArray[np.int64],
    table: NDArray[np.int64],
    bounds: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: Array,
    max_gap: int,
    buffer: Array,
) -> int:
    """Do as `gather_numbers` for one file after the other; see `_gather_files`."""
    for k in range(descriptors.size):
        own = slice(bounds[k], bounds[k + 1])
        offsets = numba.carray(pointer(table[k, 0]), (table[k, 1],), np.int64)
        columns = numba.carray(pointer(table[k, 4]), (table[k, 5],), np.int32)
        status, _ = gather_numbers(
            descriptors[k], offsets, table[k, 2], starts[own], lengths[own], places[own], out, table[k, 3], columns,
            max_gap, buffer,
        )  # fmt: skip
        if status:
            return k
    return descriptors.size
