"""Some columns of row-sparse matrices, remapping while rows are read.

    plain bytes ──► read buffers ──┐
                                   ├──► selected elements, rows    ──► final places
    anything else ──► all of it ───┘

How much of a row is selected is known when it has been read, so rows get their final places in a second step, which
only touches selected elements.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array, DType
from scdataset.engine.arrays.spans import ANY, Columns, Spans, scatter, scratch
from scdataset.engine.arrays.stored_arrays import BUFFER_BYTES, GAP_BYTES, PlainArray, StoredArray, equal_tasks
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.gather import NO_LIMIT, OUT_OF_RANGE, READS_COMPILED, reaches, read_elements, run_of
from scdataset.engine.kernels.totals import add_up
from scdataset.engine.observer import READ, SCATTER, observed

__all__ = ["NO_ADDENDS", "ReadSpec", "Selected", "few_columns", "keep_runs", "put_together", "read_selected"]

_Stored = tuple[Array, Array, NDArray[np.int64], int]
"""Values and column numbers of some rows, side by side, how many there are of each row, and the first row."""

Stored = Callable[[int, int], Iterator[_Stored]]
"""Gives rows [first, last), all at once or some at a time."""


NO_ADDENDS = np.empty(0, np.float32)
"""Of the type that is stored most often, so that there is less to compile."""

_FEW = 1 / 8
"""The part of all columns up to which it pays to ask first whether a column is selected."""


@dataclass(frozen=True, slots=True)
class ReadSpec:
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

    data: StoredArray
    indices: StoredArray
    columns: Columns
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def plain(self) -> tuple[PlainArray, PlainArray] | None:
        """Values and column numbers where both are plain bytes of a file."""
        data, indices = self.data, self.indices
        return (data, indices) if isinstance(data, PlainArray) and isinstance(indices, PlainArray) else None


@dataclass(frozen=True, slots=True)
class Selected:
    """The selected elements of some rows, side by side: ``counts`` of each."""

    places: NDArray[np.int64]
    counts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Array


def read_selected(
    parts: Sequence[ReadSpec],
    dtype: DType,
    context: ReadContext,
    totals: NDArray[np.float64] | None = None,
) -> tuple[Array, NDArray[np.int32], NDArray[np.int64]]:
    """Return values, column numbers and row pointer of the selected elements of rows.

    Parameters
    ----------
    parts
        Rows of one matrix or several; all their places together are 0, 1, ...
    dtype
        Type of the values of the result.
    context
        Memory and threads.
    totals
        Gets the sum of every row, those of its elements that are dropped included, shape ``(n_rows,)``.
    """
    total = max(sum(int(part.lengths.sum()) for part in parts), 1)
    selected: list[Selected] = []
    tasks = []
    for part in parts:
        share = max(round(context.n_tasks * int(part.lengths.sum()) / total), 1)
        tasks += [(work, *bounds) for work, *bounds in _tasks(part, dtype, selected, totals, context, share)]
    context.threads.run(operator.call, tasks)
    return put_together(selected, sum(part.places.size for part in parts), dtype, context)


def put_together(
    selected: Sequence[Selected], n_rows: int, dtype: DType, context: ReadContext
) -> tuple[Array, NDArray[np.int32], NDArray[np.int64]]:
    """Return values, column numbers and row pointer of all rows of the result, ``n_rows`` in all."""
    indptr = np.zeros(n_rows + 1, np.int64)
    for rows in selected:
        indptr[1:][rows.places] = rows.counts
    np.cumsum(indptr, out=indptr)
    empty, size = context.buffers.empty, int(indptr[-1])
    data, indices = empty(size, dtype), empty(size, np.dtype(np.int32))
    context.threads.run(_put_in_place, [(rows, indptr, data, indices) for rows in selected])
    return data, indices, indptr


def _tasks(
    part: ReadSpec,
    dtype: DType,
    selected: list[Selected],
    totals: NDArray[np.float64] | None,
    context: ReadContext,
    n_tasks: int,
) -> list[tuple[Callable[[int, int], None], int, int]]:
    """Return tasks that keep a part of rows, and append it to ``selected``."""
    plain = part.plain
    stored = _of_memory(part, context, n_tasks) if plain is None else _of_file(*plain, part)
    ends = np.concatenate(([0], np.cumsum(part.lengths)))
    columns = context.buffers.empty(int(ends[-1]), np.dtype(np.int32))
    values = context.buffers.empty(int(ends[-1]), part.data.dtype)
    few = few_columns(part.columns.table)
    for array in plain or ():
        array.request(Spans(part.starts, part.lengths, part.places))

    def work(first: int, last: int) -> None:
        room, counts = slice(ends[first], ends[last]), np.zeros(last - first, np.int64)
        sums = np.empty(0 if totals is None else last - first)
        out = part.columns.table, few, columns[room], _unsigned(values[room])
        if plain is None or not _keep_runs_of(*plain, part, first, last, *out, counts, sums):
            _keep_stored(stored(first, last), first, *out, counts, sums)
        if totals is not None:
            totals[part.places[first:last]] = sums
        used = slice(ends[first], ends[first] + counts.sum())
        selected.append(
            Selected(part.places[first:last], counts, columns[used], values[used].astype(dtype, copy=False))
        )

    return equal_tasks(work, part.lengths, n_tasks)


def _keep_runs_of(
    data: PlainArray,
    indices: PlainArray,
    part: ReadSpec,
    first: int,
    last: int,
    table: NDArray[np.int32],
    few: NDArray[np.uint32],
    columns: NDArray[np.int32],
    values: Array,
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> bool:
    """Keep elements of plain bytes as they come into a buffer; False if a read failed or a number is out of range."""
    if not READS_COMPILED:
        return False
    rows = Spans(part.starts, part.lengths, part.places).part(first, last)
    room = max(BUFFER_BYTES // 8, int(rows.lengths.max(initial=0)))
    buffers = (
        scratch("data", room * values.itemsize).view(values.dtype),
        scratch("indices", room * indices.dtype.itemsize).view(f"u{indices.dtype.itemsize}"),
    )
    addends = buffers[0].view(data.dtype) if sums.size else NO_ADDENDS
    max_gap = GAP_BYTES // max(array.itemsize for array in buffers)
    with data.opened(rows) as data_place, indices.opened(rows) as indices_place:
        if data_place is None or indices_place is None:
            return False
        for array in (data, indices):
            array.note_requests(rows, max_gap, buffers[1].size)
        with observed(READ):
            n_kept = keep_runs(
                *data_place, *indices_place, rows.starts, rows.lengths, part.columns.limit, table, few, max_gap,
                *buffers, columns, values, counts, addends, sums,
            )  # fmt: skip
    data.check()
    indices.check()
    return bool(n_kept >= 0)


def _keep_stored(
    stored: Iterator[_Stored],
    first: int,
    table: NDArray[np.int32],
    few: NDArray[np.uint32],
    columns: NDArray[np.int32],
    values: Array,
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Keep elements of rows from ``first`` on, which are in memory."""
    position = 0
    for data, indices, lengths, start in stored:
        starts, own = np.cumsum(lengths) - lengths, slice(start - first, start - first + lengths.size)
        with observed(SCATTER):
            position = _keep_rows(
                _unsigned(data), _unsigned(indices), 0, starts, lengths, NO_LIMIT, table, few, columns, values,
                position, counts[own],
            )  # fmt: skip
            if sums.size:
                add_up(data, 0, starts, lengths, sums[own])


def _unsigned(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")


def _of_file(data: PlainArray, indices: PlainArray, part: ReadSpec) -> Stored:
    """Return a function that reads rows of plain bytes, one at a time."""
    spans, limit = Spans(part.starts, part.lengths, part.places), Columns(part.columns.limit, ANY.table)

    def stored(first: int, last: int) -> Iterator[_Stored]:
        for row in range(first, last):
            own = spans.part(row, row + 1).packed()
            read = np.empty(own.lengths[0], data.dtype), np.empty(own.lengths[0], indices.dtype)
            data.read(own, read[0], ANY)
            indices.read(own, read[1], limit)
            yield *read, own.lengths, row

    return stored


def _of_memory(part: ReadSpec, context: ReadContext, n_tasks: int) -> Stored:
    """Read all rows, and return a function that takes some of them."""
    spans = Spans(part.starts, part.lengths, part.places).packed()
    size = int(part.lengths.sum())
    read = context.buffers.empty(size, part.data.dtype), context.buffers.empty(size, part.indices.dtype)
    tasks = part.data.tasks(spans, read[0], ANY, n_tasks)
    tasks += part.indices.tasks(spans, read[1], Columns(part.columns.limit, ANY.table), n_tasks)
    context.threads.run(operator.call, tasks)
    ends = np.append(spans.places, size)

    def stored(first: int, last: int) -> Iterator[_Stored]:
        own = slice(ends[first], ends[last])
        yield read[0][own], read[1][own], part.lengths[first:last], first

    return stored


def _put_in_place(rows: Selected, indptr: NDArray[np.int64], data: Array, indices: NDArray[np.int32]) -> None:
    spans = Spans(np.cumsum(rows.counts) - rows.counts, rows.counts, indptr[:-1][rows.places])
    with observed(SCATTER):
        scatter(rows.values, spans, data)
        scatter(rows.columns, spans, indices)


@compiled
def keep_runs(
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
    data: Array,
    indices: Array,
    columns: NDArray[np.int32],
    values: Array,
    counts: NDArray[np.int64],
    addends: Array,
    sums: NDArray[np.float64],
) -> int:
    """Read runs of rows that lie close together to two buffers, and keep the selected elements of each.

    If there is room for ``sums``, ``addends`` is the memory of ``data`` as the type to add up. Returns how many were
    kept, or -1 if something could not be read or was not within the limit.
    """
    first = position = int(np.int64(0))  # as in `gather_spans`
    while first < starts.size:
        begin = starts[first]
        last, end = run_of(starts, lengths, first, max_gap, indices.size)
        address, other_address = np.int64(data.ctypes.data), np.int64(indices.ctypes.data)
        if not read_elements(data_descriptor, data_offsets, data_chunk, data.itemsize, begin, end, address):
            return -1
        if not read_elements(
            indices_descriptor, indices_offsets, indices_chunk, indices.itemsize, begin, end, other_address
        ):
            return -1
        own_starts, own_lengths = starts[first:last], lengths[first:last]
        position = _keep_rows(
            data, indices, begin, own_starts, own_lengths, limit, table, few, columns, values, position,
            counts[first:last],
        )  # fmt: skip
        if position == OUT_OF_RANGE:
            return -1
        if sums.size:
            add_up(addends, begin, own_starts, own_lengths, sums[first:last])
        first = last
    return position


@compiled
def _keep_rows(
    data: Array,
    indices: Array,
    base: int,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    limit: int,
    table: NDArray[np.int32],
    few: NDArray[np.uint32],
    columns: NDArray[np.int32],
    values: Array,
    position: int,
    counts: NDArray[np.int64],
) -> int:
    """Keep the elements that ``table`` has a column for; ``data`` and ``indices`` hold elements from ``base`` on.

    Returns the place after the last element that was selected, or ``OUT_OF_RANGE``.
    """
    for row in range(starts.size):
        begin = starts[row] - base
        own = indices[begin : begin + lengths[row]]
        if limit != NO_LIMIT and reaches(own, limit):
            return OUT_OF_RANGE
        room = slice(position, position + own.size)
        rest = data[begin : begin + own.size], columns[room], values[room], table
        selected = _select_few(own, *rest, few) if few.size else _select_many(own, *rest)
        counts[row] = selected
        position += selected
    return position


@compiled
def _select_few(
    numbers: Array,
    data: Array,
    columns: NDArray[np.int32],
    values: Array,
    table: NDArray[np.int32],
    few: NDArray[np.uint32],
) -> int:
    """Keep one in many: a branch that nearly always goes the same way costs less than a look at the whole table."""
    selected = 0
    for i in range(numbers.size):
        number = np.uint32(numbers[i])
        if (few[number >> np.uint32(5)] >> (number & np.uint32(31))) & np.uint32(1):
            columns[selected] = table[number]
            values[selected] = data[i]
            selected += 1
    return selected


@compiled
def _select_many(
    numbers: Array,
    data: Array,
    columns: NDArray[np.int32],
    values: Array,
    table: NDArray[np.int32],
) -> int:
    """Select a good part, without a branch that would go either way: the next element overwrites a dropped one."""
    selected = 0
    for i in range(numbers.size):
        column = table[numbers[i]]
        columns[selected] = column
        values[selected] = data[i]
        selected += column >= 0
    return selected


def few_columns(table: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return a bit a stored column, whether it is selected, if that are few; else an empty array."""
    selected = table >= 0
    if np.count_nonzero(selected) > _FEW * table.size:
        return np.empty(0, np.uint32)
    packed = np.packbits(np.pad(selected, (0, -table.size % 32)), bitorder="little")
    return packed.view("<u4").astype(np.uint32)
