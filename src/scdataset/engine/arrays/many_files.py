"""Spans of many files of plain bytes, read by a few compiled loops.

files ──► groups ──► descriptors of a group ──► a loop over its spans for each array ──► is each file unchanged?

Python's work for a file costs as much as reading some dozen rows of it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.arrays.spans import Columns, Spans, Target
from scdataset.engine.arrays.stored_arrays import BUFFER_BYTES, GAP_BYTES, PlainArray, Task, equal_parts
from scdataset.engine.bytes.descriptors import all_opened
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.kernels.gather import gather_spans
from scdataset.engine.observer import READ, observed, observer_here

__all__ = ["ManyReads", "tasks_of_many"]

_TOGETHER = 32
"""Files that a thread has open at the same time at most."""


class ManyReads:
    """Spans of many arrays of one type, each of another file, that go to one array.

    Parameters
    ----------
    arrays
        The arrays.
    spans, bounds
        Array k has the spans ``bounds[k]`` up to ``bounds[k + 1]``.
    out, columns
        As for `StoredArray.tasks`.
    """

    def __init__(
        self,
        arrays: Sequence[PlainArray],
        spans: Spans,
        bounds: NDArray[np.int64],
        out: NDArray[Any],
        columns: Columns,
    ) -> None:
        self.files = [one.file for one in arrays if isinstance(one.file, LocalFile)]
        self._arrays = arrays
        self._where = spans
        self._bounds = bounds
        self._out = out
        self._columns = columns

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Elements that are read of each file, shape ``(n_files,)``."""
        ends = np.concatenate(([0], np.cumsum(self._where.lengths)))
        sizes: NDArray[np.int64] = np.diff(ends[self._bounds])
        return sizes

    def read(self, first: int, last: int, descriptors: NDArray[np.int64]) -> int:
        """Read the spans of files [first, last), and return how many files could be read."""
        group = self._arrays[first:last]
        item, offsets = group[0].dtype.itemsize, [one.offsets for one in group]
        bounds = self._bounds[first : last + 1]
        target = Target.from_spans(self._where.part(bounds[0], bounds[-1]), self._out, self._columns, item)
        where, bounds = target.spans, bounds - bounds[0]
        if observer_here() is not None:
            for array, *own in zip(group, bounds[:-1], bounds[1:], strict=True):
                array.note_requests(where.part(*own), GAP_BYTES // item, BUFFER_BYTES // item)
        with observed(READ):
            n_read = _gather_files(
                descriptors, np.concatenate(offsets), np.cumsum([0, *(one.size for one in offsets)]),
                np.array([one.chunk for one in group]), item, bounds, where.starts, where.lengths, where.places,
                target.octets, self._columns.limit, GAP_BYTES // item, np.empty(BUFFER_BYTES, np.uint8),
            )  # fmt: skip
            target.finish(int(bounds[n_read]))
        return n_read

    def read_apart(self, number: int) -> None:
        """Read the spans of one file by itself, which goes on after a signal and names errors."""
        own = self._where.part(*self._bounds[number : number + 2])
        for read, *part in self._arrays[number].tasks(own, self._out, self._columns, 1):
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
    return [(work, *group) for group in _groups(sizes, n_parts)]


def _groups(sizes: NDArray[np.int64], n_parts: int) -> Iterator[tuple[int, int]]:
    """Cut files, of which so much is read, into parts of about the same size, none of too many files."""
    for first, last in equal_parts(sizes, n_parts):
        for start in range(first, last, _TOGETHER):
            yield start, min(start + _TOGETHER, last)


@compiled
def _gather_files(
    descriptors: NDArray[np.int64],
    offsets: NDArray[np.int64],
    first_chunks: NDArray[np.int64],
    chunks: NDArray[np.int64],
    item: int,
    bounds: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.uint8],
    limit: int,
    max_gap: int,
    buffer: NDArray[np.uint8],
) -> int:
    """Do as `gather_spans` for one file after the other, and return how many were read whole.

    File k has chunks ``first_chunks[k]`` up to ``first_chunks[k + 1]`` and spans ``bounds[k]`` up to ``bounds[k + 1]``.
    """
    for k in range(descriptors.size):
        own = slice(bounds[k], bounds[k + 1])
        status, _ = gather_spans(
            descriptors[k], offsets[first_chunks[k] : first_chunks[k + 1]], chunks[k], item, starts[own], lengths[own],
            places[own], out, limit, max_gap, buffer,
        )  # fmt: skip
        if status:
            return k
    return descriptors.size
