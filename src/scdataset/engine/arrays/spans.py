"""Spans of stored arrays, and the memory that they are read to.

bytes of the file ──► the output, element for element
bytes of the file ──► memory of the stored type ──► other numbers, or numbers of another size, in the output
"""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array
from scdataset.engine.kernels.gather import NO_LIMIT, renumber_piece, scatter_piece

__all__ = ["ANY", "Columns", "Spans", "Target", "scatter", "scratch"]


_SCRATCH_BYTES = 1 << 22
"""Memory that a thread keeps for each purpose at most."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Bounds of column numbers, and their new numbers.

    Attributes
    ----------
    limit
        Every stored number is below it, unless it is ``NO_LIMIT``.
    table
        The number written for each stored one, shape ``(limit,)``, int32, -1 for nothing; empty for the number itself.
    """

    limit: int
    table: NDArray[np.int32]

    def change(self, item: int, out: Array) -> bool:
        """Tell whether stored numbers of ``item`` bytes differ from those in ``out``, in value or in size."""
        return self.table.size > 0 or out.itemsize != item


ANY = Columns(NO_LIMIT, np.empty(0, np.int32))
"""For elements that are no column numbers."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of a stored 1-D array and where they go, ascending by ``starts``; each shape ``(n,)``, int64."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    places: NDArray[np.int64]

    def part(self, first: int, last: int) -> "Spans":
        """Return spans [first, last)."""
        return Spans(self.starts[first:last], self.lengths[first:last], self.places[first:last])

    def packed(self) -> "Spans":
        """Return the same spans with places side by side, from 0 on."""
        return Spans(self.starts, self.lengths, np.cumsum(self.lengths) - self.lengths)

    def within(self, start: int, stop: int) -> "Spans":
        """Return the parts of all spans in elements [start, stop), which may be empty."""
        starts = np.maximum(self.starts, start)
        lengths = np.maximum(np.minimum(self.starts + self.lengths, stop) - starts, 0)
        return Spans(starts, lengths, self.places + starts - self.starts)


class _Scratch(threading.local):
    """Memory of a thread: the system would hand out new memory page by page, each set to zero."""

    def __init__(self) -> None:
        self.held: dict[str, NDArray[np.uint8]] = {}


_SCRATCH = _Scratch()


def scratch(purpose: str, size: int) -> NDArray[np.uint8]:
    """Return memory of this thread, whose content lasts until the next call for the purpose."""
    if size > _SCRATCH_BYTES:
        return np.empty(size, np.uint8)
    held = _SCRATCH.held.get(purpose)
    if held is None or held.size < size:
        held = _SCRATCH.held[purpose] = np.empty(size, np.uint8)
    return held[:size]


@dataclass(frozen=True, slots=True)
class Target:
    """Memory that spans are read to as they are stored.

    Attributes
    ----------
    spans
        The spans, with their places in this memory.
    octets
        The memory as bytes; memory of the thread lasts until its next target.
    """

    spans: Spans
    octets: NDArray[np.uint8]
    _final: Spans
    _out: Array
    _columns: Columns
    _item: int

    @classmethod
    def from_spans(cls, spans: Spans, out: Array, columns: Columns, item: int) -> "Target":
        """Return ``out`` itself, or memory of ``item`` bytes an element where ``out`` takes other numbers or sizes."""
        if not columns.change(item, out):
            return cls(spans, out.view(np.uint8), spans, out, columns, item)
        octets = scratch("target", int(spans.lengths.sum()) * item)
        return cls(spans.packed(), octets, spans, out, columns, item)

    def finish(self, n_spans: int) -> None:
        """Write the new numbers of the first spans, if there are any, whose stored ones have been read and checked."""
        if self.spans is self._final:
            return
        final, out = self._final.part(0, n_spans), self._out.view(f"u{self._out.itemsize}")
        stored, starts = self.octets.view(f"u{self._item}"), self.spans.places
        renumber_piece(stored, 0, 0, n_spans, starts, final.lengths, final.places, out, NO_LIMIT, self._columns.table)


def scatter(source: Array, spans: Spans, out: Array) -> None:
    """Copy spans of an array in memory to ``out``, which is of its type."""
    item = out.itemsize
    octets, where = source.view(np.uint8), (spans.starts, spans.lengths, spans.places)
    scatter_piece(octets, item, 0, 0, spans.starts.size, *where, out.view(np.uint8), NO_LIMIT)
