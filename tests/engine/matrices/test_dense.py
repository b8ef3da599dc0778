"""Dense matrices in strips of tiles."""

import numpy as np
import pytest
from tests.engine.arrays.plain_files import plain_array

from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.dense import DenseMatrix

VALUES = np.arange(30, dtype="f4").reshape(6, 5)
ROWS = np.array([5, 0, 5, 2])


@pytest.fixture(params=[2, 5], ids=["tiles", "whole rows"])
def matrix(request, tmp_path):
    width = request.param
    padded = np.pad(VALUES, ((0, 0), (0, -5 % width)), constant_values=-1)
    strips = [
        plain_array(tmp_path / f"{start}", padded[:, start : start + width].ravel(), 4 * width)
        for start in range(0, 5, width)
    ]
    return DenseMatrix((6, 5), tuple(strips), width)


def test_rows_come_in_the_order_asked_for_without_padding(matrix):
    assert matrix.read(ROWS, ReadContext()).tolist() == VALUES[ROWS].tolist()
    assert matrix.read(ROWS[:0], ReadContext()).shape == (0, 5)


def test_columns_are_remapped(matrix):
    remapped = matrix.remap(np.array([2, -1, 0, -1, -1], np.int32), 3)
    expected = np.column_stack([VALUES[ROWS, 2], np.zeros(4), VALUES[ROWS, 0]])
    assert remapped.read(ROWS, ReadContext()).tolist() == expected.tolist()


def test_the_cost_has_all_bytes_of_the_result(matrix):
    cost = matrix.read_cost(np.sort(ROWS))
    assert cost.result_bytes == 4 * 5 * 4
