"""Columns in an order of one's own, of matrices that are read whole."""

import numpy as np
import pytest
import scipy.sparse

from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.parts import Part
from scdataset.engine.matrices.remapped import NumberedColumns, ReadApart, RemappedColumns, read_apart, remapped_of
from scdataset.errors import CollectionError

VALUES = np.array([[1, 0, 2, 0], [0, 3, 0, 4], [5, 6, 0, 0]], np.float32)
ROWS = np.array([2, 0, 2])


class InMemory(ReadApart):
    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.kind = "CSR" if scipy.sparse.issparse(values) else "dense"

    def read(self, rows, context):
        return self.values[rows]


FORMS = pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix], ids=["dense", "CSR"])


def dense(rows):
    return rows.toarray() if scipy.sparse.issparse(rows) else rows


@FORMS
def test_columns_are_moved_left_out_and_zeros(form):
    matrix = InMemory(form(VALUES)).remap(np.array([3, -1, 0, 1], np.int32), 4)
    expected = np.column_stack([VALUES[ROWS, 2], VALUES[ROWS, 3], np.zeros(3), VALUES[ROWS, 0]])
    assert dense(matrix.read(ROWS, ReadContext())).tolist() == expected.tolist()
    again = matrix.remap(np.array([-1, 0, 1, 2], np.int32), 3)
    assert isinstance(again.matrix, InMemory)
    assert dense(again.read(ROWS, ReadContext())).tolist() == expected[:, 1:].tolist()


@FORMS
def test_rows_of_several_matrices_come_in_order_with_the_sums_of_all_stored_columns(form):
    one, other = InMemory(form(VALUES)), InMemory(form(VALUES * 10))
    few = [RemappedColumns(matrix, np.array([0, -1, -1, -1], np.int32), 1) for matrix in (one, other)]
    parts = [Part(few[0], np.array([0, 2]), np.array([3, 0])), Part(few[1], np.array([1, 2]), np.array([1, 2]))]
    totals = np.zeros(4)
    rows = read_apart(parts, 1, np.dtype("f4"), ReadContext(), totals)
    assert dense(rows).ravel().tolist() == [5, 0, 50, 1]
    assert totals.tolist() == [11, 70, 110, 3]


def test_remappings_follow_each_other():
    both = remapped_of(np.array([1, -1, 0], np.int32), np.array([5, -1], np.int32))
    assert both.tolist() == [-1, -1, 5]


@pytest.mark.parametrize("numbers", [[3, 0, 1, 2], [900, 7, 70, 8]])
def test_columns_go_by_numbers_of_their_own(numbers):
    stored = scipy.sparse.csr_matrix((3, 1000), dtype="f4")
    stored = scipy.sparse.csr_matrix((np.array([1.0, 2, 3]), [numbers[2], numbers[0], 55], [0, 2, 2, 3]), (3, 1000))
    kept = NumberedColumns(InMemory(stored), "a.parquet", np.array(numbers), drop=True)
    assert kept.read(np.arange(3), ReadContext()).toarray().tolist() == [[2, 0, 1, 0], [0] * 4, [0] * 4]
    strict = NumberedColumns(InMemory(stored), "a.parquet", np.array(numbers), drop=False)
    with pytest.raises(CollectionError, match=r"a\.parquet: 1 values of 3 cells are of 1 genes .*\[55\]"):
        strict.read(np.arange(3), ReadContext())
