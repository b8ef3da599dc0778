"""Weights of rows: nothing for uniform ones, a float a row as it was given, or a class code a row and a table."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled, read_only
from scdataset._cores import usable_cores
from scdataset._types import Array
from scdataset.strategy.bitmap import Bitmap, fill_rows
from scdataset.strategy.selection import Rows

__all__ = ["STRATUM", "Weights", "fill_weights", "in_parts", "stratum_prefix"]

T = TypeVar("T")

STRATUM = 512
"""Rows whose weights are summed once and kept: 0.016 bytes a row."""

_TYPES = [np.dtype(name) for name in ("f8", "f4", "u1", "i1", "u2", "i2", "i4", "i8")]
"""Types of weights and codes; any other becomes the first."""

_SIZES = tuple(dtype.itemsize for dtype in _TYPES)

_SIGNS = tuple(np.uint64(1 << (8 * dtype.itemsize - 1) if dtype.kind == "i" else 0) for dtype in _TYPES)
"""The highest bit of signed integers."""

_PART = 1 << 22
"""Rows that one thread scans at a time."""


class Weights(NamedTuple):
    """Weights of the selected rows, for compiled code.

    Attributes
    ----------
    values
        Weights, or class codes where there is a table, as bytes, so that compiled code is the same for all types;
        shape ``(n * itemsize,)``. Shape ``(0,)`` for uniform weights.
    kind
        Place in ``_TYPES`` of the type that they are of.
    table
        Weight of each class, shape ``(n_classes,)``, float64; shape ``(0,)`` where values are weights.
    offset
        Code of the first class.
    listed, start, step, bits
        Where in ``values`` the k-th selected row is found, as in `Rows`.
    """

    values: NDArray[np.uint8]
    kind: int
    table: NDArray[np.float64]
    offset: int
    listed: NDArray[np.int64]
    start: int
    step: int
    bits: Bitmap

    @classmethod
    def from_values(
        cls, values: Array | None, lookup: Rows, table: NDArray[np.float64] | None = None, offset: int = 0
    ) -> "Weights":
        """Weights found in ``values`` at the rows of ``lookup``; None for uniform ones."""
        given = np.empty(0, np.float64) if values is None else values
        if given.dtype not in _TYPES:
            given = given.astype(np.float64)
        return cls(
            read_only(np.ascontiguousarray(given).view(np.uint8)),
            _TYPES.index(given.dtype),
            np.empty(0, np.float64) if table is None else table,
            offset,
            lookup.listed,
            lookup.start,
            lookup.step,
            lookup.bits,
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the fields: read-only arrays are not read-only when they arrive."""
        return _arrived, tuple(self)

    @property
    def uniform(self) -> bool:
        """Whether all rows weigh the same."""
        return self.values.size == 0


def _arrived(values: NDArray[np.uint8], *others: Any) -> Weights:
    return Weights(read_only(values), *others)


@compiled
def fill_weights(out: NDArray[np.float64], start: int, weights: Weights) -> None:
    """Write the weights of the selected rows from position ``start`` on, as many as ``out`` holds.

    Many at a time: to look at the tuple for each would count references to its arrays, ten times the work.
    """
    table, listed = weights.table, weights.listed
    if weights.values.size == 0:
        for i in range(out.size):
            out[i] = 1.0
        return
    offset = weights.offset
    first, step = weights.start + weights.step * start, weights.step
    if weights.bits.ranks.size:
        rows = np.empty(out.size, np.int64)
        fill_rows(rows, start, weights.bits)
    elif listed.size:
        rows = listed[start : start + out.size]
    else:
        rows = listed[:0]
    _fill_numbers(out, weights.values, weights.kind, rows, first, step)
    if table.size:
        for i in range(out.size):
            out[i] = table[np.int64(out[i]) - offset]


@compiled
def _fill_numbers(
    out: NDArray[np.float64], values: NDArray[np.uint8], kind: int, rows: NDArray[np.int64], first: int, step: int
) -> None:
    """Write numbers of the type ``_TYPES[kind]``; an array's own ``view`` takes five times as long to compile."""
    if kind == 0:
        _fill(out, np.frombuffer(values, np.float64), rows, first, step)
    elif kind == 1:
        _fill(out, np.frombuffer(values, np.float32), rows, first, step)
    else:
        _fill_integers(out, values, _SIZES[kind], _SIGNS[kind], rows, first, step)


@compiled
def _fill(out: NDArray[np.float64], values: Array, rows: NDArray[np.int64], first: int, step: int) -> None:
    """Write the numbers at ``rows``; without any, at every ``step``-th row from ``first`` on."""
    for i in range(out.size):
        out[i] = values[rows[i] if rows.size else first + step * i]


@compiled
def _fill_integers(
    out: NDArray[np.float64],
    values: NDArray[np.uint8],
    size: int,
    sign: np.uint64,
    rows: NDArray[np.int64],
    first: int,
    step: int,
) -> None:
    """Do as `_fill` with integers of ``size`` bytes, cut out of words of eight: one loop is compiled for all types.

    ``sign`` is the highest bit of signed ones, and 0 of others.
    """
    words = np.frombuffer(values[: values.size // 8 * 8], np.uint64)
    rest = np.uint64(0)
    for i in range(words.size * 8, values.size):
        rest |= np.uint64(values[i]) << np.uint64(8 * (i % 8))
    mask = ~np.uint64(0) >> np.uint64(64 - 8 * size)
    for i in range(out.size):
        place = size * (rows[i] if rows.size else first + step * i)
        word = words[place // 8] if place < words.size * 8 else rest
        bits = (word >> np.uint64(8 * (place % 8))) & mask
        out[i] = np.int64((bits ^ sign) - sign)


def stratum_prefix(weights: Weights, n: int) -> NDArray[np.float64]:
    """Sum the weights of strata of consecutive selected rows.

    Returns
    -------
    ``prefix[j]`` is the weight of the first ``j`` strata, shape ``(ceil(n / STRATUM) + 1,)``; shape ``(0,)`` for
    uniform weights, whose sums are known. A stratum without weight leaves the sum exactly as it was.
    """
    if weights.uniform:
        return np.empty(0, np.float64)
    sums = np.zeros(-(-n // STRATUM) + 1)
    in_parts(n, lambda start, stop: _stratum_sums(start, stop, weights, sums))
    return np.cumsum(sums, out=sums)


def in_parts(n: int, work: Callable[[int, int], T]) -> list[T]:
    """Call ``work(start, stop)`` over parts of [0, n) in threads, and return the results in order."""
    parts = [(start, min(start + _PART, n)) for start in range(0, n, _PART)]
    if len(parts) <= 1:
        return [work(*part) for part in parts]
    with ThreadPoolExecutor(usable_cores()) as threads:
        return list(threads.map(lambda part: work(*part), parts))


@compiled
def _stratum_sums(start: int, stop: int, weights: Weights, sums: NDArray[np.float64]) -> None:
    stratum = np.empty(STRATUM)
    for first in range(start, stop, STRATUM):
        part = stratum[: min(STRATUM, stop - first)]
        fill_weights(part, first, weights)
        even = odd = 0.0  # two sums: additions that wait for each other would take most of the time
        for i in range(0, part.size - 1, 2):
            even += part[i]
            odd += part[i + 1]
        if part.size % 2:
            even += part[-1]
        sums[first // STRATUM + 1] = even + odd
