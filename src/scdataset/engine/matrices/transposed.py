"""A dense matrix whose rows are stored as columns: read tile by tile, each tile once.

stored: genes x cells, in tiles      read: cells x genes
┌────┬────┬────┐
│    │ ## │    │ ──► decode the tiles that hold selected cells, and copy their columns
├────┼────┼────┤     to the rows of the result
│    │ ## │    │
└────┴────┴────┘
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array, DType
from scdataset.engine.arrays.chunked_arrays import Chunks, cost_of_chunks, piece_of
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.remapped import ReadApart
from scdataset.engine.observer import SCATTER, observed

__all__ = ["TransposedMatrix"]


@dataclass(frozen=True)
class TransposedMatrix(ReadApart):
    """A dense matrix that is stored transposed.

    Attributes
    ----------
    shape, dtype
        Of the matrix: cells and genes.
    tiles
        The tiles, in rows of tiles, each with as many elements as a whole one.
    tile
        Genes and cells in a tile.
    """

    shape: tuple[int, int]
    tiles: Chunks
    tile: tuple[int, int]
    kind = "dense"

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        return self.tiles.dtype

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        return self.tiles.is_remote

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> Array:
        """Return rows as an array, shape ``(len(rows), n_columns)``."""
        n_genes = self.shape[1]
        out = context.buffers.empty(rows.size * n_genes, self.dtype).reshape(rows.size, n_genes)
        target = out.view(f"u{self.dtype.itemsize}")
        places = np.argsort(rows, kind="stable")
        columns, bounds = self._columns(rows[places])
        numbers = self._numbers(columns)

        def work(i: int) -> None:
            gene, at = divmod(i, columns.size)
            tile = piece_of(self.tiles, int(numbers[i])).view(target.dtype).reshape(self.tile)
            part = places[bounds[at] : bounds[at + 1]]
            with observed(SCATTER):
                _scatter(tile, rows[part] - columns[at] * self.tile[1], part, gene * self.tile[0], target)
            self.tiles.check()

        context.threads.run(work, [(i,) for i in range(numbers.size)])
        return out

    def announce(self, rows: NDArray[np.int64]) -> int:
        """Tell the system that these rows will be read soon."""
        return self.tiles.announce(np.sort(self._numbers(self._columns(np.sort(rows))[0])))

    def read_cost(self, rows: NDArray[np.int64]) -> ReadCost:
        """Return the cost of reading these rows."""
        made = rows.size * self.shape[1] * self.dtype.itemsize
        numbers = np.sort(self._numbers(self._columns(np.sort(rows))[0]))
        return cost_of_chunks(self.tiles, numbers, made) + ReadCost(result_bytes=made)

    def close(self) -> None:
        """Close all files."""
        self.tiles.close()

    def _columns(self, ascending: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the columns of tiles that hold rows, and the first of the rows of each, and their number."""
        columns, firsts = np.unique(ascending // self.tile[1], return_index=True)
        return columns, np.append(firsts, ascending.size)

    def _numbers(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of all tiles in these columns, a row of tiles after the other."""
        in_row, n_rows = -(-self.shape[0] // self.tile[1]), -(-self.shape[1] // self.tile[0])
        return (np.arange(n_rows)[:, None] * in_row + columns).reshape(-1)


@compiled
def _scatter(tile: Array, columns: NDArray[np.int64], places: NDArray[np.int64], first: int, out: Array) -> None:
    """Copy columns of a tile to rows of ``out``, from its column ``first`` on."""
    n = min(tile.shape[0], out.shape[1] - first)
    for gene in range(n):
        for i in range(columns.size):
            out[places[i], first + gene] = tile[gene, columns[i]]
