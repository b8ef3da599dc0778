"""Some columns of row-sparse matrices that are stored alike in many files; see `select` and `many_files`."""

import operator
from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.engine.arrays.many_files import PlainArrays, tasks_of_files
from scdataset.engine.arrays.spans import Columns, scratch
from scdataset.engine.arrays.stored_arrays import BUFFER_BYTES, GAP_BYTES
from scdataset.engine.bytes.descriptors import all_opened
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.addresses import address_of, pointer
from scdataset.engine.matrices.parts import Split
from scdataset.engine.matrices.select import NO_ADDENDS, Selected, few_columns, keep_runs, put_together
from scdataset.engine.observer import READ, observed, observer_here

__all__ = ["SelectedColumns", "columns_with_tables"]


class SelectedColumns:
    """Columns that are selected of many matrices.

    Parameters
    ----------
    data, indices
        Values and column numbers; those have a number, or -1, for each stored column.
    """

    def __init__(self, data: PlainArrays, indices: PlainArrays) -> None:
        self._data = data
        self._indices = indices
        tables = {id(own.table): own.table for own in indices.columns}
        few = {key: few_columns(table) for key, table in tables.items()}
        self._few = [few[id(own.table)] for own in indices.columns]
        self._few_table = np.array([(address_of(one), one.size) for one in self._few])

    def read(
        self,
        split: Split,
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        context: ReadContext,
        totals: NDArray[np.float64] | None,
    ) -> tuple[Array, NDArray[np.int32], NDArray[np.int64]] | None:
        """Return values, column numbers and row pointer of rows, or None if some could not be read."""
        dtype = self._data.arrays[0].dtype
        ends = np.concatenate(([0], np.cumsum(lengths)))
        columns, values = (context.buffers.empty(int(ends[-1]), kind) for kind in (np.dtype(np.int32), dtype))
        selected: list[Selected] = []

        def work(first: int, last: int) -> None:
            rows = slice(int(split.bounds[first]), int(split.bounds[last]))
            room, numbers = slice(ends[rows.start], ends[rows.stop]), split.numbers[first:last]
            counts, sums = np.zeros(rows.stop - rows.start, np.int64), np.empty(0)
            if totals is not None:
                sums = np.empty(counts.size)
            own = split.bounds[first : last + 1] - rows.start, starts[rows], lengths[rows]
            n_kept = self._keep(numbers, *own, columns[room], values[room], counts, sums)
            if n_kept < 0:
                return
            if totals is not None:
                totals[split.places[rows]] = sums
            used = slice(room.start, room.start + n_kept)
            selected.append(Selected(split.places[rows], counts, columns[used], values[used]))

        tasks = tasks_of_files(work, np.diff(ends[split.bounds]), context.n_tasks)
        context.threads.run(operator.call, tasks)
        return put_together(selected, starts.size, dtype, context) if len(selected) == len(tasks) else None

    def _keep(
        self,
        numbers: NDArray[np.int64],
        bounds: NDArray[np.int64],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        columns: NDArray[np.int32],
        values: Array,
        counts: NDArray[np.int64],
        sums: NDArray[np.float64],
    ) -> int:
        """Keep elements of some files, and return how many, or -1 if some could not be read."""
        stored, index_type = values.dtype, self._indices.arrays[0].dtype
        room = max(BUFFER_BYTES // 8, int(lengths.max(initial=0)))
        data = scratch("data", room * stored.itemsize).view(f"u{stored.itemsize}")
        indices = scratch("indices", room * index_type.itemsize).view(f"u{index_type.itemsize}")
        addends = data.view(stored) if sums.size else NO_ADDENDS
        max_gap = GAP_BYTES // max(data.itemsize, indices.itemsize)
        if observer_here() is not None:
            for arrays in (self._data, self._indices):
                arrays.note_requests(numbers, bounds, starts, lengths, max_gap, indices.size)
        files = [self._data.files[number] for number in numbers.tolist()]
        with all_opened(files) as opened, observed(READ):
            n_kept = _keep_runs_of_files(
                np.array(opened), self._data.table[numbers], self._indices.table[numbers], self._few_table[numbers],
                bounds, starts, lengths, max_gap, data, indices, columns, values.view(data.dtype), counts, addends,
                sums,
            )  # fmt: skip
        for file in files:
            file.check()
        return int(n_kept)


def columns_with_tables(columns: Sequence[Columns], n_columns: int) -> list[Columns]:
    """Return columns, each with a table."""
    same = np.arange(n_columns, dtype=np.int32)
    return [own if own.table.size else Columns(own.limit, same) for own in columns]


@compiled
def _keep_runs_of_files(
    descriptors: NDArray[np.int64],
    data_table: NDArray[np.int64],
    indices_table: NDArray[np.int64],
    few_table: NDArray[np.int64],
    bounds: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    max_gap: int,
    data: Array,
    indices: Array,
    columns: NDArray[np.int32],
    values: Array,
    counts: NDArray[np.int64],
    addends: Array,
    sums: NDArray[np.float64],
) -> int:
    """Do as `keep_runs` for one file after the other, side by side; return how many were kept, or -1.

    File k has the row k of the tables, as in `PlainArrays`, and spans ``bounds[k]`` up to ``bounds[k + 1]``.
    """
    position = 0
    for k in range(descriptors.size):
        own = slice(bounds[k], bounds[k + 1])
        n_kept = keep_runs(
            descriptors[k],
            numba.carray(pointer(data_table[k, 0]), (data_table[k, 1],), np.int64),
            data_table[k, 2],
            descriptors[k],
            numba.carray(pointer(indices_table[k, 0]), (indices_table[k, 1],), np.int64),
            indices_table[k, 2],
            starts[own],
            lengths[own],
            indices_table[k, 3],
            numba.carray(pointer(indices_table[k, 4]), (indices_table[k, 5],), np.int32),
            numba.carray(pointer(few_table[k, 0]), (few_table[k, 1],), np.uint32),
            max_gap,
            data,
            indices,
            columns[position:],
            values[position:],
            counts[own],
            addends,
            sums[own] if sums.size else sums,
        )
        if n_kept < 0:
            return -1
        position += n_kept
    return position
