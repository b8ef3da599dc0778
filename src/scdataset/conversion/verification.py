"""Compare a store with its source before it is renamed to its final path."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr

from scdataset._types import Array
from scdataset.conversion.ahead import read_ahead
from scdataset.conversion.matrices import Shard, ShardWriter
from scdataset.conversion.plan import MatrixPlan, Plan
from scdataset.conversion.progress import Bar
from scdataset.conversion.workspace import Workspace
from scdataset.errors import DamagedFileError

__all__ = ["verify_store"]

_SAMPLE = 32
"""Rows of each matrix that are compared as rows."""


def verify_store(
    space: Workspace,
    plan: Plan,
    writers: Mapping[str, ShardWriter],
    bar: Bar,
) -> None:
    """Read everything again with zarr: the checksum of each shard, its values, and a sample of rows.

    Raises
    ------
    DamagedFileError
        If something differs; the shard is written again when the conversion goes on.
    """
    complete = space.complete()
    shards = list(plan.shards())
    # Opened anew, so that nothing comes from the memory of the writer.
    root = zarr.open_group(space.place, mode="r", use_consolidated=False)

    def read(item: tuple[MatrixPlan, int]) -> Shard:
        matrix, number = item
        return writers[matrix.name].read(number)

    def announce(item: tuple[MatrixPlan, int]) -> None:
        matrix, number = item
        writers[matrix.name].announce(number)

    with bar(f"Comparing {space.out.name}", sum(matrix.n_cells(number) for matrix, number in shards)) as advance:
        for (matrix, number), content in read_ahead(read, shards, announce):
            start, stop = matrix.bounds(number)
            checked = space.checksums(matrix, number) == complete.get((matrix.name, number))
            stored = [np.asarray(root[array][start:stop]) for array in matrix.arrays] if checked else []
            if not checked or not all(map(_equal, stored, content)):
                raise _differs(space, matrix, number)
            advance(matrix.n_cells(number))
    for matrix in plan.matrices:
        _compare_rows(root, writers[matrix.name])


def _differs(space: Workspace, matrix: MatrixPlan, number: int) -> DamagedFileError:
    """Return the error of a shard, which is removed unless the store has its name, and others may read it."""
    remedy = f"Remove {space.out} and {space.folder}, and convert again"
    if not space.is_finished:
        space.drop(matrix, number)
        remedy = "Convert again, with the same arguments, to have it written again"
    return DamagedFileError(f"Shard {number} of {matrix.name} in {space.place} differs from the source. {remedy}.")


def _compare_rows(root: zarr.Group, writer: ShardWriter) -> None:
    """Compare rows from all over a matrix, found by the row pointers in the store and by the order of rows."""
    matrix = writer.matrix
    places = np.unique(np.linspace(0, matrix.n_rows - 1, _SAMPLE).astype(np.int64)).tolist()
    rows = np.concatenate([writer.order.rows(place, place + 1) for place in places])
    expected: Any = writer.source.read(rows)
    stored: list[zarr.Array] = [root[array] for array in matrix.arrays]
    for number, place in enumerate(places):
        if matrix.kind == "CSR":
            row = expected[number].sorted_indices()
            pointers: zarr.Array = root[f"{matrix.name}/indptr"]
            start, stop = np.asarray(pointers[place : place + 2]).tolist()
            own = [np.asarray(array[start:stop]) for array in stored]
            same = _equal(own[0], row.data) and np.array_equal(own[1], row.indices)
        else:
            same = _equal(np.asarray(stored[0][place]), np.asarray(expected[number]))
        if not same:
            message = f"Row {place} of {matrix.name} in the store differs from row {rows[number]} of the source."
            raise DamagedFileError(message)


def _equal(values: Array, others: Array) -> bool:
    """Tell whether values are the same, NaN included."""
    return np.array_equal(values, others, equal_nan=values.dtype.kind == "f")
