"""Row-sparse matrices of three stored arrays."""

import numpy as np
import pytest
import scipy.sparse
from tests.engine.arrays.plain_files import plain_array

from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.parts import Part
from scdataset.engine.matrices.row_pointers import RowPointers

ROWS = np.array([7, 0, 7, 3])


def stored(folder, matrix, dtype="f4"):
    folder.mkdir()
    data = plain_array(folder / "data", matrix.data.astype(dtype), 10)
    indices = plain_array(folder / "indices", matrix.indices.astype("i4"), 10)
    return CsrMatrix(matrix.shape, data, indices, RowPointers.from_pointers(matrix.indptr, matrix.nnz))


@pytest.fixture(scope="module")
def matrix():
    matrix = scipy.sparse.random(9, 12, 0.4, "csr", rng=np.random.default_rng(0))
    matrix.data = np.arange(1.0, matrix.nnz + 1)
    return matrix


def test_rows_come_in_the_order_asked_for(matrix, tmp_path):
    found = stored(tmp_path / "a", matrix).read(ROWS, ReadContext())
    assert found.toarray().tolist() == matrix[ROWS].toarray().tolist()
    assert found.indices.dtype == np.int32


def test_half_floats_become_single_ones(matrix, tmp_path):
    half = stored(tmp_path / "a", matrix, "f2")
    assert half.dtype == np.float32
    assert half.read(ROWS, ReadContext()).toarray().tolist() == matrix[ROWS].toarray().tolist()


@pytest.mark.parametrize("drops", [False, True])
def test_columns_are_remapped_twice_as_once(matrix, tmp_path, drops):
    table = np.arange(11, -1, -1, dtype=np.int32)
    if drops:
        table[4:] = -1
    twice = stored(tmp_path / "a", matrix).remap(np.arange(11, -1, -1, dtype=np.int32), 12).remap(table, 12)
    assert twice.drops is drops
    expected = np.zeros((4, 12))
    for before in range(12):
        after = table[11 - before]
        if after >= 0:
            expected[:, after] = matrix[ROWS].toarray()[:, before]
    assert twice.read(ROWS, ReadContext()).toarray().tolist() == expected.tolist()


def test_rows_of_two_matrices_come_as_one_with_their_sums(matrix, tmp_path):
    one, other = stored(tmp_path / "a", matrix), stored(tmp_path / "b", matrix * 100)
    parts = [Part(one, np.array([1, 8]), np.array([2, 0])), Part(other, np.array([4]), np.array([1]))]
    totals = np.zeros(3)
    found = CsrMatrix.read_parts(parts, 12, np.dtype("f4"), ReadContext(), totals)
    expected = np.vstack([matrix[8].toarray(), 100 * matrix[4].toarray(), matrix[1].toarray()])
    assert found.toarray().tolist() == expected.tolist()
    assert totals.tolist() == expected.sum(axis=1).tolist()
