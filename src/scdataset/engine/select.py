"""Some columns of row-sparse matrices, chosen while rows are read.

    plain bytes ──► read buffers ──┐
                                   ├──► what is kept, row after row ──► final places
    anything else ──► all of it ───┘

How much of a row is kept is known when it has been read, so rows get their final places in a second step, which only
touches what is kept.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset.engine.elements import ANY, BUFFER_BYTES, GAP_BYTES, Columns, Elements, PlainElements, Spans, equal_parts
from scdataset.engine.kernels import (
    NO_LIMIT,
    OUT_OF_RANGE,
    READS_COMPILED,
    SHORT_READ,
    reaches,
    read_elements,
    run_of,
    scatter_piece,
)
from scdataset.engine.slabs import SlabPool
from scdataset.engine.threads import Threads
from scdataset.engine.totals import add_up

__all__ = ["Wanted", "read_selected"]

Keep = Callable[[int, int, NDArray[Any], NDArray[Any], NDArray[np.int64], NDArray[np.float64]], None]
"""Keeps something of rows [first, last): their column numbers, values, counts and totals go to the four arrays.

There are no totals if that array is empty.
"""


_FEW = 1 / 8
"""The part of all columns up to which it pays to ask first whether a column is kept."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of one matrix.

    Attributes
    ----------
    data, indices
        Values and column numbers of the matrix.
    columns
        New column numbers; -1 for those that are dropped.
    starts, lengths
        Where the rows are, ascending, each shape ``(n,)``, int64.
    places
        Which rows of the result they are, shape ``(n,)``, int64.
    """

    data: Elements
    indices: Elements
    columns: Columns
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Kept:
    """The kept elements of some rows, side by side: ``counts`` of each."""

    places: NDArray[np.int64]
    counts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[Any]


def read_selected(
    parts: Sequence[Wanted],
    dtype: np.dtype[Any],
    slabs: SlabPool,
    threads: Threads,
    n_tasks: int,
    totals: NDArray[np.float64] | None = None,
) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int64]]:
    """Return values, column numbers and row pointer of the kept elements of rows.

    Parameters
    ----------
    parts
        Rows of one matrix or several; all their places together are 0, 1, ...
    dtype
        Type of the values of the result.
    slabs, threads
        Memory and threads.
    n_tasks
        In about how many parts to do it at the same time.
    totals
        Gets the sum of every row, those of its elements that are dropped included, shape ``(n_rows,)``.
    """
    total = max(sum(int(part.lengths.sum()) for part in parts), 1)
    kept: list[_Kept] = []
    tasks = []
    for part in parts:
        share = max(round(n_tasks * int(part.lengths.sum()) / total), 1)
        tasks += [(work, *bounds) for work, *bounds in _tasks(part, dtype, kept, totals, slabs, threads, share)]
    threads.run(operator.call, tasks)
    indptr = np.zeros(sum(part.places.size for part in parts) + 1, np.int64)
    for rows in kept:
        indptr[1:][rows.places] = rows.counts
    np.cumsum(indptr, out=indptr)
    data, indices = slabs.empty(int(indptr[-1]), dtype), slabs.empty(int(indptr[-1]), np.dtype(np.int32))
    threads.run(_put_in_place, [(rows, indptr, data, indices) for rows in kept])
    return data, indices, indptr


def _tasks(
    part: Wanted,
    dtype: np.dtype[Any],
    kept: list[_Kept],
    totals: NDArray[np.float64] | None,
    slabs: SlabPool,
    threads: Threads,
    n_tasks: int,
) -> list[tuple[Callable[[int, int], None], int, int]]:
    """Return tasks that keep a part of rows, and append it to ``kept``."""
    keep = _keep_of_file(part, dtype) or _keep_of_memory(part, dtype, slabs, threads, n_tasks)
    ends = np.concatenate(([0], np.cumsum(part.lengths)))
    columns, values = slabs.empty(int(ends[-1]), np.dtype(np.int32)), slabs.empty(int(ends[-1]), dtype)

    def work(first: int, last: int) -> None:
        room, counts = slice(ends[first], ends[last]), np.zeros(last - first, np.int64)
        sums = np.empty(0 if totals is None else last - first)
        keep(first, last, columns[room], values[room], counts, sums)
        if totals is not None:
            totals[part.places[first:last]] = sums
        n_kept = int(counts.sum())
        kept.append(_Kept(part.places[first:last], counts, columns[room][:n_kept], values[room][:n_kept]))

    return [(work, *bounds) for bounds in equal_parts(part.lengths, n_tasks)]


def _keep_of_file(part: Wanted, dtype: np.dtype[Any]) -> Keep | None:
    """Return a task that keeps elements of plain bytes as they come into a buffer, or None for other matrices."""
    data, indices = part.data, part.indices
    if not (READS_COMPILED and isinstance(data, PlainElements) and isinstance(indices, PlainElements)):
        return None
    few = _few(part.columns.table)
    room = max(BUFFER_BYTES // 8, int(part.lengths.max(initial=0)))
    stored = data.dtype if data.dtype != dtype else np.dtype(f"u{dtype.itemsize}")
    numbers = np.dtype(f"u{indices.dtype.itemsize}")
    max_gap = GAP_BYTES // max(stored.itemsize, numbers.itemsize)

    def keep(
        first: int,
        last: int,
        columns: NDArray[Any],
        values: NDArray[Any],
        counts: NDArray[np.int64],
        sums: NDArray[np.float64],
    ) -> None:
        rows = part.starts[first:last], part.lengths[first:last]
        data.check_stored(*rows)
        indices.check_stored(*rows)
        out = values.view(stored) if data.dtype == dtype else values
        data_buffer, indices_buffer = np.empty(room, stored), np.empty(room, numbers)
        summed = data_buffer.view(data.dtype) if sums.size else np.empty(0)
        with data.opened() as data_place, indices.opened() as indices_place:
            status, row = _keep_runs(
                *data_place, *indices_place, *rows, part.columns.limit, part.columns.table, few, max_gap, data_buffer,
                indices_buffer, columns, out, counts, summed, sums,
            )  # fmt: skip
        if status == SHORT_READ:  # a signal, or an error that the compiled loop has no name for
            stretch = partial(_stretch, data, indices, stored)
            status, row = _keep_by_library(
                stretch, *rows, part.columns, few, max_gap, room, columns, out, counts, data.dtype, sums
            )
        if status == OUT_OF_RANGE:
            indices.refuse_column(int(rows[0][row]), part.columns.limit)
        data.check()
        indices.check()

    return keep


def _stretch(
    data: PlainElements, indices: PlainElements, stored: np.dtype[Any], start: int, stop: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read values and column numbers [start, stop) by Python's system calls."""
    return data.elements(start, stop).view(stored), indices.elements(start, stop)


def _keep_by_library(
    stretch: Callable[[int, int], tuple[NDArray[Any], NDArray[Any]]],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    wanted: Columns,
    few: NDArray[np.uint32],
    max_gap: int,
    room: int,
    columns: NDArray[np.int32],
    values: NDArray[Any],
    counts: NDArray[np.int64],
    dtype: np.dtype[Any],
    sums: NDArray[np.float64],
) -> tuple[int, int]:
    """Do as `_keep_runs` by Python's system calls, which go on after a signal and name their errors."""
    first = position = 0
    while first < starts.size:
        begin = int(starts[first])
        last, end = run_of(starts, lengths, first, max_gap, room)
        data, indices = stretch(begin, end)
        position = _keep_rows(
            data, indices, begin, starts[first:last], lengths[first:last], wanted.limit, wanted.table, few, columns,
            values, position, counts[first:last],
        )  # fmt: skip
        if position == OUT_OF_RANGE:
            return OUT_OF_RANGE, first
        if sums.size:
            add_up(data.view(dtype), begin, starts[first:last], lengths[first:last], sums[first:last])
        first = last
    return 0, 0


def _keep_of_memory(part: Wanted, dtype: np.dtype[Any], slabs: SlabPool, threads: Threads, n_tasks: int) -> Keep:
    """Read rows whole, and return a task that keeps elements of them."""
    begins = np.cumsum(part.lengths) - part.lengths
    spans = Spans(part.starts, part.lengths, begins)
    size = int(part.lengths.sum())
    stored = slabs.empty(size, part.data.dtype), slabs.empty(size, part.indices.dtype)
    tasks = part.data.tasks(spans, stored[0], ANY, n_tasks)
    tasks += part.indices.tasks(spans, stored[1], Columns(part.columns.limit, ANY.table), n_tasks)
    threads.run(operator.call, tasks)
    same = part.data.dtype == dtype
    unsigned = np.dtype(f"u{dtype.itemsize}")
    few = _few(part.columns.table)
    data, indices = stored[0].view(unsigned) if same else stored[0], stored[1].view(f"u{stored[1].itemsize}")

    def keep(
        first: int,
        last: int,
        columns: NDArray[Any],
        values: NDArray[Any],
        counts: NDArray[np.int64],
        sums: NDArray[np.float64],
    ) -> None:
        out = values.view(unsigned) if same else values
        rows = begins[first:last], part.lengths[first:last]
        _keep_rows(data, indices, 0, *rows, part.columns.limit, part.columns.table, few, columns, out, 0, counts)
        if sums.size:
            add_up(stored[0], 0, *rows, sums)

    return keep


def _put_in_place(rows: _Kept, indptr: NDArray[np.int64], data: NDArray[Any], indices: NDArray[np.int32]) -> None:
    starts = np.cumsum(rows.counts) - rows.counts
    where = starts, rows.counts, indptr[:-1][rows.places]
    for source, out in ((rows.values, data), (rows.columns, indices)):
        unsigned = np.dtype(f"u{out.itemsize}")
        scatter_piece(source.view(unsigned), 0, 0, starts.size, *where, out.view(unsigned), NO_LIMIT, ANY.table)


@compiled
def _keep_runs(
    data_descriptor: int,
    data_offsets: NDArray[np.int64],
    data_chunk: int,
    indices_descriptor: int,
    indices_offsets: NDArray[np.int64],
    indices_chunk: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    limit: int,
    table: NDArray[np.int32],
    few: NDArray[np.uint32],
    max_gap: int,
    data_buffer: NDArray[Any],
    indices_buffer: NDArray[Any],
    columns: NDArray[np.int32],
    values: NDArray[Any],
    counts: NDArray[np.int64],
    summed: NDArray[Any],
    sums: NDArray[np.float64],
) -> tuple[int, int]:
    """Read runs of rows that lie close together, and keep the wanted elements of each.

    If there is room for ``sums``, ``summed`` is the data buffer as the type to add up.

    Returns ``(0, 0)``, or ``SHORT_READ`` or ``OUT_OF_RANGE`` and the row at which the run began.
    """
    first: Any = np.int64(0)  # as in `gather_spans`
    position: Any = np.int64(0)
    while first < starts.size:
        begin = starts[first]
        last, end = run_of(starts, lengths, first, max_gap, indices_buffer.size)
        if not read_elements(data_descriptor, data_offsets, data_chunk, begin, end, data_buffer, 0):
            return SHORT_READ, first
        if not read_elements(indices_descriptor, indices_offsets, indices_chunk, begin, end, indices_buffer, 0):
            return SHORT_READ, first
        position = _keep_rows(
            data_buffer, indices_buffer, begin, starts[first:last], lengths[first:last], limit, table, few, columns,
            values, position, counts[first:last],
        )  # fmt: skip
        if position == OUT_OF_RANGE:
            return OUT_OF_RANGE, first
        if sums.size:
            add_up(summed, begin, starts[first:last], lengths[first:last], sums[first:last])
        first = last
    return 0, 0


@compiled
def _keep_rows(
    data: NDArray[Any],
    indices: NDArray[Any],
    base: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    limit: int,
    table: NDArray[np.int32],
    few: NDArray[np.uint32],
    columns: NDArray[np.int32],
    values: NDArray[Any],
    position: int,
    counts: NDArray[np.int64],
) -> int:
    """Keep the elements that ``table`` has a column for; ``data`` and ``indices`` hold elements from ``base`` on.

    Returns the place after the last element that was kept, or ``OUT_OF_RANGE``.
    """
    for row in range(starts.size):
        begin = starts[row] - base
        own = indices[begin : begin + lengths[row]]
        if reaches(own, 0, own.size, limit):
            return OUT_OF_RANGE
        room = slice(position, position + own.size)
        rest = data[begin : begin + own.size], columns[room], values[room]
        kept = _keep_few(own, *rest, table, few) if few.size else _keep_many(own, *rest, table)
        counts[row] = kept
        position += kept
    return position


@compiled
def _keep_few(
    numbers: NDArray[Any],
    data: NDArray[Any],
    columns: NDArray[np.int32],
    values: NDArray[Any],
    table: NDArray[np.int32],
    few: NDArray[np.uint32],
) -> int:
    """Keep one in many: a branch that nearly always goes the same way costs less than a look at the whole table."""
    kept = 0
    for i in range(numbers.size):
        number = np.uint32(numbers[i])
        if (few[number >> np.uint32(5)] >> (number & np.uint32(31))) & np.uint32(1):
            columns[kept] = table[number]
            values[kept] = data[i]
            kept += 1
    return kept


@compiled
def _keep_many(
    numbers: NDArray[Any],
    data: NDArray[Any],
    columns: NDArray[np.int32],
    values: NDArray[Any],
    table: NDArray[np.int32],
) -> int:
    """Keep a good part, without a branch that would go either way: what is dropped is written over by the next."""
    kept = 0
    for i in range(numbers.size):
        column = table[numbers[i]]
        columns[kept] = column
        values[kept] = data[i]
        kept += column >= 0
    return kept


def _few(table: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return a bit a stored column, whether it is kept, if that are few; else an empty array."""
    kept = table >= 0
    if np.count_nonzero(kept) > _FEW * table.size:
        return np.empty(0, np.uint32)
    packed = np.packbits(np.pad(kept, (0, -table.size % 32)), bitorder="little")
    return packed.view("<u4").astype(np.uint32)
