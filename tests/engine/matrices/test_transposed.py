"""Matrices that are stored as genes x cells, in tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.transposed import TransposedMatrix
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError


class Tiles:
    """Tiles of an array in memory, which notes those that are read."""

    path, name, is_remote = "memory", "matrix", False

    def __init__(self, stored, tile):
        whole = -np.ones([-(-size // step) * step for size, step in zip(stored.shape, tile, strict=True)], stored.dtype)
        whole[: stored.shape[0], : stored.shape[1]] = stored
        rows, columns = (np.split(np.arange(size), size // step) for size, step in zip(whole.shape, tile, strict=True))
        self.tiles = [whole[np.ix_(row, column)].ravel() for row in rows for column in columns]
        self.dtype, self.length, self.seen = stored.dtype, tile[0] * tile[1], []

    def piece(self, number):
        self.seen.append(number)
        return self.tiles[number]

    def check(self):
        """Memory does not change."""

    def announce(self, numbers):
        self.seen += numbers.tolist()
        return True


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    tile=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    data=st.data(),
)
def test_rows_are_those_of_the_transposed_array_and_each_tile_is_read_once(shape, tile, data):
    values = np.arange(shape[0] * shape[1], dtype="f4").reshape(shape)
    rows = np.array(data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=20)), np.int64)
    tiles = Tiles(values.T, tile)
    matrix = TransposedMatrix(shape, tiles, tile)
    assert matrix.read(rows, ReadContext()).tolist() == values[rows].tolist()
    needed = len({row // tile[1] for row in rows.tolist()}) * -(-shape[1] // tile[0])
    assert len(tiles.seen) == len(set(tiles.seen)) == needed


@pytest.mark.parametrize("rows", [[4, 4, 0], []])
def test_tiles_that_will_be_read_are_announced(rows):
    tiles = Tiles(np.zeros((4, 6), "f4"), (2, 3))
    matrix = TransposedMatrix((6, 4), tiles, (2, 3))
    matrix.announce(np.array(rows, np.int64))
    announced, tiles.seen = tiles.seen, []
    matrix.read(np.array(rows, np.int64), ReadContext())
    assert announced == sorted(tiles.seen)


class Changed(Tiles):
    """Tiles of a store that has changed since it was opened."""

    def check(self):
        raise DamagedFileError(self.path)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_of_tiles_that_have_changed_are_refused(n_threads):
    matrix = TransposedMatrix((6, 4), Changed(np.zeros((4, 6), "f4"), (2, 3)), (2, 3))
    with pytest.raises(DamagedFileError, match="memory"):
        matrix.read(np.array([1]), ReadContext(Threads(n_threads)))
