"""Matrices, looked at value by value."""

import numpy as np
import pytest
import scipy.sparse
from tests.engine.arrays.plain_files import plain_array

from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.row_pointers import RowPointers
from scdataset.engine.matrices.transposed import TransposedMatrix
from scdataset.errors import DamagedFileError
from scdataset.insight.checked_matrices import check_columns, check_matrix, check_pointers, check_values
from scdataset.insight.findings import Findings


@pytest.fixture
def found():
    return Findings("a.h5ad", lambda _: None)


def faults(found):
    return [(fault.place, fault.message) for fault in found.faults]


def csr(folder, change):
    matrix = scipy.sparse.random(30, 12, 0.4, "csr", dtype="f4", rng=np.random.default_rng(0))
    matrix.sort_indices()
    change(matrix)
    data, indices = (plain_array(folder / name, getattr(matrix, name), 20) for name in ("data", "indices"))
    return CsrMatrix(matrix.shape, data, indices, RowPointers.from_pointers(matrix.indptr, matrix.nnz)), matrix


def test_a_sound_matrix_has_no_fault_and_all_its_bytes_count(tmp_path, found):
    matrix, stored = csr(tmp_path, lambda _: None)
    check_matrix(matrix, "X", found, ReadContext())
    assert not found.faults
    assert found.n_bytes == stored.data.nbytes + stored.indices.nbytes


def test_values_that_are_no_numbers_are_found_with_their_row(tmp_path, found):
    def change(matrix):
        matrix.data[matrix.indptr[7]] = np.nan

    check_matrix(csr(tmp_path, change)[0], "X", found, ReadContext())
    [(place, message)] = faults(found)
    assert place == "X/data"
    assert "row 7" in message


def test_columns_out_of_range_and_twice_are_found_with_their_row(tmp_path, found):
    def change(matrix):
        matrix.indices[matrix.indptr[4]] = 12
        matrix.indices[matrix.indptr[9] + 1] = matrix.indices[matrix.indptr[9]]

    check_matrix(csr(tmp_path, change)[0], "X", found, ReadContext())
    said = " ".join(message for _, message in faults(found))
    assert "row 4" in said
    assert "row 9" in said


def test_dense_values_are_looked_at(tmp_path, found):
    values = np.ones((6, 4), "f4")
    values[5, 2] = np.nan
    check_matrix(DenseMatrix((6, 4), (plain_array(tmp_path / "X", values.ravel(), 8),), 4), "X", found, ReadContext())
    [(_, message)] = faults(found)
    assert "row 5" in message


def test_arrays_without_rows_are_told_by_position(tmp_path, found):
    values, numbers = np.array([1, np.nan], "f4"), np.array([3, 0, 4], "i4")
    check_values(plain_array(tmp_path / "a", values, 2), 2, "data", found, ReadContext())
    check_columns(plain_array(tmp_path / "b", numbers, 3), 3, 4, "indices", found, ReadContext())
    assert [place for place, _ in faults(found)] == ["data", "indices"]
    assert "position 2" in faults(found)[1][1]


@pytest.mark.parametrize(
    ("pointers", "said"),
    [
        ([0, 3, 9], []),
        ([1, 3, 9], ["begins with 1"]),
        ([0, 5, 4, 9], ["falls after row 1"]),
        ([0, 3, 8], ["ends with 8; it has to end with 9"]),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 9])
def test_row_pointers_are_the_same_faults_in_any_pieces(found, pointers, said, cut):
    pieces = [np.array(pointers[start : start + cut]) for start in range(0, len(pointers), cut)]
    check_pointers(iter(pieces), 9, "X/indptr", found)
    assert len(found.faults) == len(said)
    for (_, message), expected in zip(faults(found), said, strict=True):
        assert message.startswith(expected)


class ChangedTiles:
    """Tiles of a file that has changed since it was opened."""

    path, name, is_remote, dtype, length = "a.loom", "matrix", False, np.dtype("f4"), 6

    def piece(self, _):
        return np.zeros(6, "f4")

    def check(self):
        raise DamagedFileError("has changed.")  # noqa: EM101, TRY003 a stand-in


def test_tiles_of_a_file_that_has_changed_are_a_fault(found):
    check_matrix(TransposedMatrix((3, 2), ChangedTiles(), (2, 3)), "matrix", found, ReadContext())
    assert [place for place, _ in faults(found)] == ["matrix"]
