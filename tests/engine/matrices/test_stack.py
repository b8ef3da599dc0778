"""Matrices one below the other are read as one."""

import numpy as np

from scdataset.engine.matrices.stack import Stack


class Stored:
    kind = "dense"
    is_remote = False
    dtype = np.dtype("f4")

    def __init__(self, values, cached):
        self.values, self.cached, self.told = values, cached, []
        self.shape = values.shape

    @classmethod
    def read_parts(cls, parts, n_columns, dtype, buffers, threads, totals=None):
        out = np.empty((sum(part.rows.size for part in parts), n_columns), dtype)
        for part in parts:
            out[part.places] = part.matrix.values[part.rows]
        return out

    def announce(self, rows):
        self.told.append(rows.tolist())
        return not self.cached


def stack(*, cached):
    whole = np.arange(30, dtype="f4").reshape(10, 3)
    stored = [Stored(part, cached) for part in (whole[:4], whole[4:4], whole[4:])]
    return whole, stored, Stack(stored)


def test_rows_are_those_of_the_whole():
    whole, _, stacked = stack(cached=False)
    rows = np.array([9, 0, 4, 3, 4])
    assert stacked.shape == (10, 3)
    assert np.array_equal(stacked.read(rows, None), whole[rows])


def test_each_matrix_is_told_its_own_rows():
    _, stored, stacked = stack(cached=False)
    stacked.announce(np.array([5, 3, 0]))
    assert [one.told for one in stored] == [[[0, 3]], [], [[1]]]


def test_of_many_rows_in_memory_a_few_are_tried():
    _, stored, stacked = stack(cached=True)
    stacked.announce(np.random.default_rng(0).integers(0, 10, 6400))
    assert sum(len(rows) for one in stored for rows in one.told) == 16


def test_of_remote_rows_none_are_tried_first():
    _, stored, _ = stack(cached=True)
    stored[2].is_remote = True
    rows = np.random.default_rng(0).integers(0, 10, 6400)
    Stack(stored).announce(rows)
    assert [len(one.told) for one in stored] == [1, 0, 1]
    assert sum(len(told) for one in stored for told in one.told) == rows.size


def test_many_rows_that_are_not_in_memory_are_all_told():
    _, stored, stacked = stack(cached=False)
    rows = np.random.default_rng(0).integers(0, 10, 6400)
    stacked.announce(rows)
    told = np.concatenate([stored[0].told[-1], np.array(stored[2].told[-1]) + 4])
    assert np.array_equal(told, np.sort(rows))
