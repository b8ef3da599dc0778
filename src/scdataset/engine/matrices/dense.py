"""Rows of stored dense matrices, as one array in their final order."""

from collections.abc import Sequence  # noqa: TC003 as in the other modules
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array, DType
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.arrays.reads import Read, run_reads
from scdataset.engine.arrays.spans import Spans
from scdataset.engine.arrays.stored_arrays import StoredArray
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.totals import row_totals
from scdataset.engine.matrices.parts import Part
from scdataset.engine.matrices.remapped import RemappedColumns

__all__ = ["DenseMatrix"]


@dataclass(frozen=True)
class DenseMatrix:
    """A dense matrix, stored in rows or in tiles.

    Attributes
    ----------
    shape
        Of the matrix.
    strips
        The columns of tiles, each a 1-D array of rows that follow each other; one strip if rows are stored whole.
    width
        Elements in a row of a tile, the last strip's padding included.
    """

    shape: tuple[int, int]
    strips: tuple[StoredArray, ...]
    width: int
    kind = "dense"

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        return self.strips[0].dtype

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        return self.strips[0].is_remote

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> Array:
        """Return rows as an array, shape ``(len(rows), n_columns)``."""
        return self.read_parts(Part.whole(self, rows), self.shape[1], self.dtype, context)

    @classmethod
    def read_parts(
        cls,
        parts: "Sequence[Part[DenseMatrix]]",
        n_columns: int,
        dtype: DType,
        context: ReadContext,
        totals: NDArray[np.float64] | None = None,
    ) -> Array:
        """Return rows of several matrices as one array; see `Matrix.read_parts`."""
        n_rows = sum(part.rows.size for part in parts)
        out = context.buffers.empty(n_rows * n_columns, dtype)
        reads = [
            Read(strip, part.matrix.spans(part.rows, part.places, number), out)
            for part in parts
            for number, strip in enumerate(part.matrix.strips)
        ]
        run_reads(reads, context)
        rows = out.reshape(n_rows, n_columns)
        if totals is not None:
            totals[:] = row_totals(rows)
        return rows

    def remap(self, remapping: NDArray[np.int32], n_columns: int) -> RemappedColumns:
        """Return the matrix with ``n_columns`` other columns; see `RemappedColumns`."""
        return RemappedColumns(self, remapping, n_columns)

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows, ascending, will be read soon."""
        return sum(strip.announce(self.spans(rows, rows, number)) for number, strip in enumerate(self.strips))

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading these rows, ascending."""
        made = ReadCost(result_bytes=rows.size * self.shape[1] * self.dtype.itemsize)
        strips = (strip.read_cost(self.spans(rows, rows, number)) for number, strip in enumerate(self.strips))
        return sum(strips, made)

    def close(self) -> None:
        """Close all files."""
        for strip in self.strips:
            strip.close()

    def spans(self, rows: NDArray[np.int64], places: NDArray[np.int64], number: int) -> Spans:
        """Return where a strip has rows, and where they go in an array of as many columns."""
        first_column = number * self.width
        length = min(self.width, self.shape[1] - first_column)
        return Spans(rows * self.width, np.full(rows.size, length), places * self.shape[1] + first_column)
