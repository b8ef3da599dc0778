"""Matrices as JSON and numbers."""

import json

import numpy as np
import pytest
import scipy.sparse
from tests.engine.arrays.plain_files import plain_array

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers.cached_matrices import CachedArrays, packed_matrix, unpacked_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.dense import DenseMatrix
from scdataset.engine.matrices.remapped import RemappedColumns
from scdataset.engine.matrices.row_pointers import RowPointers

ROWS = np.arange(8, -1, -1)


def csr(folder):
    matrix = scipy.sparse.random(9, 12, 0.4, "csr", dtype="f4", rng=np.random.default_rng(0))
    content = matrix.data.tobytes() + matrix.indices.tobytes()
    (folder / "m").write_bytes(content)
    file = LocalFile(str(folder / "m"))
    array = type(plain_array(folder / "other", matrix.data, matrix.nnz))
    data = array(file, "data", matrix.data.dtype, matrix.nnz, np.array([0]))
    indices = array(file, "indices", matrix.indices.dtype, matrix.nnz, np.array([matrix.data.nbytes]))
    return CsrMatrix(matrix.shape, data, indices, RowPointers.from_pointers(matrix.indptr, matrix.nnz)), matrix


def dense(folder):
    values = np.arange(36, dtype="f4").reshape(9, 4)
    return DenseMatrix((9, 4), (plain_array(folder / "m", values.ravel(), 12),), 4), scipy.sparse.csr_matrix(values)


@pytest.mark.parametrize("made", [csr, dense])
def test_a_matrix_reads_the_same_after_it_was_json(tmp_path, made):
    matrix, values = made(tmp_path)
    arrays = CachedArrays()
    packed = json.loads(json.dumps(packed_matrix(matrix, arrays)))
    again = unpacked_matrix(LocalFile(str(tmp_path / "m")), packed, CachedArrays(arrays.joined()))
    found = scipy.sparse.csr_matrix(again.read(ROWS, ReadContext()))
    assert (found != values[ROWS]).nnz == 0


@pytest.mark.parametrize("made", [csr, dense])
def test_a_matrix_that_does_not_lie_in_the_file_is_refused(tmp_path, made):
    matrix, _ = made(tmp_path)
    arrays = CachedArrays()
    packed = json.loads(json.dumps(packed_matrix(matrix, arrays)))
    (tmp_path / "short").write_bytes((tmp_path / "m").read_bytes()[:-4])
    with pytest.raises(ValueError, match="do not lie in it"):
        unpacked_matrix(LocalFile(str(tmp_path / "short")), packed, CachedArrays(arrays.joined()))


def test_other_matrices_are_not_cached(tmp_path):
    matrix, _ = dense(tmp_path)
    assert packed_matrix(RemappedColumns(matrix, np.zeros(4, np.int32), 4), CachedArrays()) is None


@pytest.mark.parametrize("where", [["<f4", 0, 5], ["<f4", 3, 1], ["<f4", -8, 1], ["|O", 0, 1], ["<f4", 0, -1]])
def test_only_arrays_that_lie_within_the_stored_bytes_are_known(where):
    arrays = CachedArrays()
    assert arrays.add(np.arange(3, dtype="f4")) == ["<f4", 0, 3]
    stored = CachedArrays(arrays.joined())
    assert stored[["<f4", 0, 3]].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="there is no array"):
        stored[where]
