"""Check matrices: every chunk is read, and every value and column number looked at.

A window that cannot be read is read again chunk by chunk, so that each damaged chunk is named and the others are
checked.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.engine.arrays.chunked_arrays import ChunkedArray, piece_of
from scdataset.engine.arrays.reads import Read, run_reads
from scdataset.engine.arrays.spans import Spans
from scdataset.engine.arrays.stored_arrays import PlainArray, StoredArray
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.parts import Matrix
from scdataset.engine.matrices.row_pointers import RowPointers
from scdataset.engine.matrices.transposed import TransposedMatrix
from scdataset.errors import DamagedFileError, ScDatasetError
from scdataset.insight.findings import Findings

__all__ = ["check_columns", "check_matrix", "check_pointers", "check_values"]

_WINDOW = 1 << 21
"""Elements that are read together."""

_PIECE = 1 << 16
"""Elements that are read alone of a chunk that is larger, where it is plain and a part of it is damaged."""

_PARTS = 16

_RARE = 0.01
"""Share of rows up to which columns out of order are damage, where all other rows have them in order."""

_ENOUGH_ROWS = 100
"""Rows from which on a share can be told."""


@singledispatch
def check_matrix(matrix: Matrix, place: str, found: Findings, context: ReadContext) -> None:
    """Check the values of a matrix, which is read by rows as training reads it."""
    nans = _Nans()
    height = max(_WINDOW // max(matrix.shape[1], 1), 1) if matrix.kind == "dense" else 4096
    for first in range(0, matrix.shape[0], height):
        _by_halves(matrix, first, min(first + height, matrix.shape[0]), place, found, context, nans)
    nans.report(place, found)


@check_matrix.register
def _(matrix: CsrMatrix, place: str, found: Findings, context: ReadContext) -> None:
    rows = _Rows()
    for first, last in _row_windows(matrix.table):
        starts, lengths = matrix.table.spans(np.arange(first, last))
        begin, end = int(starts[0]), int(starts[-1] + lengths[-1])
        numbers, readable = _span(matrix.indices, begin, end, f"{place}/indices", found, context)
        rows.add(numbers, readable, lengths, first, matrix.shape[1])
        found.checked(numbers.nbytes)
    rows.report(place, found)
    check_values(matrix.data, matrix.table.n_elements, f"{place}/data", found, context, matrix.table)


@check_matrix.register
def _(matrix: DenseMatrix, place: str, found: Findings, context: ReadContext) -> None:
    nans, n_columns = _Nans(), matrix.shape[1]
    height = max(_WINDOW // max(n_columns, 1), 1)
    for first in range(0, matrix.shape[0], height):
        rows = np.arange(first, min(first + height, matrix.shape[0]))
        out = np.zeros((rows.size, n_columns), matrix.dtype)
        for number, strip in enumerate(matrix.strips):
            _strip(matrix, strip, number, rows, out, place, found, context)
        nans.add_dense(out, first)
        found.checked(out.nbytes)
    nans.report(place, found)


@check_matrix.register
def _(matrix: TransposedMatrix, place: str, found: Findings, _: ReadContext) -> None:
    nans, (n_cells, n_genes) = _Nans(), matrix.shape
    genes, cells = matrix.tile
    in_row = -(-n_cells // cells)
    for number in range(in_row * -(-n_genes // genes)):
        gene, cell = number // in_row * genes, number % in_row * cells
        try:
            tile = piece_of(matrix.tiles, number).reshape(matrix.tile)
            matrix.tiles.check()
        except DamagedFileError as error:
            found.add(place, error)
            continue
        part = tile[: n_genes - gene, : n_cells - cell].T
        nans.add_dense(part, cell, gene)
        found.checked(part.nbytes)
    nans.report(place, found)


def check_pointers(pieces: Iterator[Array], n_elements: int, place: str, found: Findings) -> None:
    """Check that row pointers rise from 0 to the number of elements, and note every fall."""
    row, previous, falls = 0, None, []
    for piece in pieces:
        pointers = piece.astype(np.int64)
        if previous is None and pointers.size and pointers[0] != 0:
            found.add(place, f"begins with {pointers[0]}; it has to begin with 0.")
        joined = pointers if previous is None else np.concatenate(([previous], pointers))
        falls += (row + np.flatnonzero(joined[1:] < joined[:-1])).tolist()
        row, previous = row + joined.size - 1, joined[-1] if joined.size else previous
    for fall in falls:
        found.add(place, f"falls after row {fall}; it must never fall.")
    if previous is not None and previous != n_elements:
        found.add(place, f"ends with {previous}; it has to end with {n_elements}, the number of stored elements.")


def check_values(
    array: StoredArray, n: int, place: str, found: Findings, context: ReadContext, table: RowPointers | None = None
) -> None:
    """Check that values are numbers; ``table`` names the rows of those that are not."""
    nans = _Nans()
    for start in range(0, n, _WINDOW):
        values, _ = _span(array, start, min(start + _WINDOW, n), place, found, context)
        nans.add(values, start, table)
        found.checked(values.nbytes)
    nans.report(place, found)


def check_columns(
    array: StoredArray, n: int, n_columns: int, place: str, found: Findings, context: ReadContext
) -> None:
    """Check column numbers whose rows are not known."""
    outside = _Count()
    for start in range(0, n, _WINDOW):
        numbers, readable = _span(array, start, min(start + _WINDOW, n), place, found, context)
        wrong = _outside(numbers, n_columns) & readable
        outside.add(wrong, lambda at, start=start: f"at position {start + at}")
        found.checked(numbers.nbytes)
    outside.report(place, found, "column number", f" outside [0, {n_columns})")


@dataclass
class _Count:
    """How many elements are wrong, and where the first is."""

    n: int = 0
    first: str = ""

    def add(self, wrong: NDArray[np.bool_], where: Callable[..., str]) -> None:
        n = int(np.count_nonzero(wrong))
        if n and not self.n:
            self.first = where(int(np.argmax(wrong)))
        self.n += n

    def report(self, place: str, found: Findings, noun: str, which: str = "") -> None:
        if self.n:
            found.add(place, f"has {counted(self.n, noun)}{which}, the first {self.first}.")


@dataclass
class _Nans:
    """Values that are no numbers."""

    nan: _Count = field(default_factory=_Count)
    infinite: _Count = field(default_factory=_Count)

    def add(self, values: Array, start: int, table: RowPointers | None, first_row: int = 0) -> None:
        def where(at: int) -> str:
            return f"at position {start + at}" if table is None else f"in row {first_row + _row_of(table, start + at)}"

        self._count(values, where)

    def add_dense(self, values: Array, first_row: int, first_column: int = 0) -> None:
        n_columns = values.shape[1]

        def where(at: int) -> str:
            return f"in row {first_row + at // n_columns}, column {first_column + at % n_columns}"

        self._count(values.reshape(-1), where)

    def _count(self, values: Array, where: Callable[..., str]) -> None:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            self.nan.add(np.isnan(values), where)
            self.infinite.add(np.isinf(values), where)

    def report(self, place: str, found: Findings) -> None:
        self.nan.report(place, found, "NaN value")
        self.infinite.report(place, found, "infinite value")


@dataclass
class _Rows:
    """Column numbers of rows: out of range, repeated in a row, or not in ascending order."""

    outside: _Count = field(default_factory=_Count)
    repeated: _Count = field(default_factory=_Count)
    unsorted: _Count = field(default_factory=_Count)
    n_rows: int = 0

    def add(
        self, numbers: Array, readable: NDArray[np.bool_], lengths: NDArray[np.int64], first: int, limit: int
    ) -> None:
        row = np.repeat(np.arange(lengths.size), lengths)
        self.outside.add(_outside(numbers, limit) & readable, lambda at: f"in row {first + row[at]}")
        pairs = (row[1:] == row[:-1]) & readable[1:] & readable[:-1]
        falls = np.zeros(lengths.size, bool)
        falls[row[1:][pairs & (numbers[1:] < numbers[:-1])]] = True
        self.unsorted.add(falls, lambda at: f"in row {first + at}")
        self.n_rows += int(np.count_nonzero(lengths > 1))
        self.repeated.add(_repeats(numbers, row, pairs, falls, readable), lambda at: f"in row {first + at}")

    def report(self, place: str, found: Findings) -> None:
        self.outside.report(f"{place}/indices", found, "column number", " outside the matrix")
        self.repeated.report(f"{place}/indices", found, "row", " with a column more than once")
        is_graph = place.rpartition("/")[0].endswith(("obsp", "varp"))  # neighbours come in any order
        if not is_graph and self.n_rows >= _ENOUGH_ROWS and self.unsorted.n <= _RARE * self.n_rows:
            others = counted(self.n_rows - self.unsorted.n, "other row")
            which = f" whose columns do not ascend, as those of {others} do"
            self.unsorted.report(f"{place}/indices", found, "row", which)
        elif self.unsorted.n:
            rows = counted(self.unsorted.n, "row")
            found.note(f"{place}/indices", f"has {rows} with columns in no order, which reading allows.")


def _repeats(
    numbers: Array,
    row: NDArray[np.int64],
    pairs: NDArray[np.bool_],
    falls: NDArray[np.bool_],
    readable: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which rows have a column more than once; those out of order are sorted to tell."""
    repeats = np.zeros(falls.size, bool)
    repeats[row[1:][pairs & (numbers[1:] == numbers[:-1])]] = True
    if falls.any():
        chosen = falls[row] & readable
        number, own = numbers[chosen], row[chosen]
        order = np.lexsort((number, own))
        same = (number[order][1:] == number[order][:-1]) & (own[order][1:] == own[order][:-1])
        repeats[own[order][1:][same]] = True
    return repeats


def _outside(numbers: Array, limit: int) -> NDArray[np.bool_]:
    outside: NDArray[np.bool_] = (numbers < 0) | (numbers >= limit)
    return outside


def _row_of(table: RowPointers, element: int) -> int:
    """Return the row of an element."""
    group = max(int(np.searchsorted(table.firsts, element, "right")) - 1, 0)
    rows = np.arange(group * 64, len(table))[:64]
    starts, lengths = table.spans(rows)
    return int(rows[np.argmax(starts + lengths > element)])


def _row_windows(table: RowPointers) -> Iterator[tuple[int, int]]:
    """Yield runs of rows that hold about as many elements as a window."""
    n_rows = len(table)
    height = max(int(_WINDOW / max(table.n_elements / max(n_rows, 1), 1)), 1)
    for first in range(0, n_rows, height):
        yield first, min(first + height, n_rows)


def _span(
    array: StoredArray, start: int, stop: int, place: str, found: Findings, context: ReadContext
) -> tuple[Array, NDArray[np.bool_]]:
    """Return elements, zeros where they cannot be read, and which can be."""
    out, readable = np.zeros(stop - start, array.dtype), np.ones(stop - start, bool)
    cuts = np.unique(np.linspace(start, stop, _PARTS + 1).astype(np.int64))
    try:
        _read(array, cuts, out, context)
    except ScDatasetError:
        for begin, end in _pieces(array, start, stop):
            try:
                _read(array, np.array([begin, end]), out[begin - start : end - start], context)
            except ScDatasetError as error:
                found.add(place, error)
                out[begin - start : end - start] = 0
                readable[begin - start : end - start] = False
    return out, readable


def _read(array: StoredArray, cuts: NDArray[np.int64], out: Array, context: ReadContext) -> None:
    run_reads([Read(array, Spans(cuts[:-1], np.diff(cuts), cuts[:-1] - cuts[0]), out)], context)


def _pieces(array: StoredArray, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut elements at the bounds of chunks, large plain ones in pieces."""
    step = array.chunks.length if isinstance(array, ChunkedArray) else _PIECE
    step = min(array.chunk, _PIECE) if isinstance(array, PlainArray) else step
    bounds = [start, *range((start // step + 1) * step, stop, step), stop]
    return itertools.pairwise(bounds)


def _strip(
    matrix: DenseMatrix,
    strip: StoredArray,
    number: int,
    rows: NDArray[np.int64],
    out: Array,
    place: str,
    found: Findings,
    context: ReadContext,
) -> None:
    """Read rows of a column of tiles to their places, and note those that cannot be read."""
    flat = out.reshape(-1)
    try:
        run_reads([Read(strip, matrix.spans(rows, rows - rows[0], number), flat)], context)
    except ScDatasetError:
        length = strip.chunks.length if isinstance(strip, ChunkedArray) else _PIECE
        step = max(length // matrix.width, 1)
        for begin in range(rows[0] // step * step, int(rows[-1]) + 1, step):
            part = rows[(rows >= begin) & (rows < begin + step)]
            try:
                run_reads([Read(strip, matrix.spans(part, part - rows[0], number), flat)], context)
            except ScDatasetError as error:
                found.add(place, error)


def _by_halves(
    matrix: Matrix, first: int, last: int, place: str, found: Findings, context: ReadContext, nans: _Nans
) -> None:
    """Read rows, and halves of them where they cannot be read."""
    try:
        read = matrix.read(np.arange(first, last), context)
    except ScDatasetError as error:
        if last - first <= 1:
            found.add(place, error)
            return
        middle = (first + last) // 2
        _by_halves(matrix, first, middle, place, found, context, nans)
        _by_halves(matrix, middle, last, place, found, context, nans)
        return
    if not isinstance(read, np.ndarray):
        nans.add(read.data, 0, RowPointers.from_pointers(read.indptr, read.nnz), first)
        found.checked(read.data.nbytes)
    else:
        nans.add_dense(read, first)
        found.checked(read.nbytes)
