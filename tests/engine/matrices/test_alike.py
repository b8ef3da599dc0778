"""Matrices that are stored alike in many files."""

import pickle

import numpy as np
import pytest
import scipy.sparse

from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.gather import READS_COMPILED
from scdataset.engine.matrices.alike import AlikeMatrices
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.row_pointers import RowPointers
from scdataset.engine.matrices.select_many import SelectedColumns
from scdataset.engine.matrices.stack import Stack
from scdataset.engine.observer import Observer, observing
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError

N_COLUMNS = 2_000

pytestmark = pytest.mark.skipif(not READS_COMPILED, reason="nothing is read by compiled loops here")


def _stored(path, matrix):
    path.write_bytes(matrix.data.tobytes() + matrix.indices.tobytes())
    file, n = LocalFile(str(path)), matrix.nnz
    data = PlainArray(file, "data", matrix.data.dtype, n, np.array([0]))
    indices = PlainArray(file, "indices", matrix.indices.dtype, n, np.array([matrix.data.nbytes]))
    return CsrMatrix(matrix.shape, data, indices, RowPointers.from_pointers(matrix.indptr, n))


@pytest.fixture
def whole():
    """Rows of 70 or 700 elements, so that their lengths are of two types, one file with a single longer one."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        row = scipy.sparse.random(100, N_COLUMNS, 0.35 if number % 2 else 0.035, "csr", np.float32, rng=rng)
        rows.append(row)
    long = scipy.sparse.random(1, N_COLUMNS, 0.9, "csr", np.float32, rng=rng)
    rows[2] = scipy.sparse.vstack([*[rows[2]] * 11, long, rows[2]], format="csr")
    return rows


@pytest.fixture
def matrices(whole, tmp_path):
    return [_stored(tmp_path / f"{number}", matrix) for number, matrix in enumerate(whole)]


def _equal(read, expected):
    return (read != expected).nnz == 0 and np.array_equal(read.indptr, expected.indptr)


def test_rows_are_those_of_the_matrices_whatever_the_type_of_their_lengths(whole, matrices):
    assert len({matrix.table.lengths.dtype for matrix in matrices}) == 2
    assert [matrix.table.long_rows.size for matrix in matrices][2] == 1
    stacked, expected = Stack(matrices), scipy.sparse.vstack(whole, format="csr")
    rng = np.random.default_rng(1)
    for rows in (rng.permutation(expected.shape[0]), rng.integers(0, expected.shape[0], 300), np.arange(0)):
        assert _equal(stacked.read(rows, ReadContext()), expected[rows])
    assert _equal(pickle.loads(pickle.dumps(stacked)).read(rows, ReadContext()), expected[rows])


def test_rows_are_summed(whole, matrices):
    expected = scipy.sparse.vstack(whole, format="csr")
    rows, totals = np.random.default_rng(1).permutation(expected.shape[0]), np.empty(expected.shape[0])
    Stack(matrices).read(rows, ReadContext(), totals)
    assert np.allclose(totals, np.asarray(expected[rows].sum(axis=1)).ravel())


def test_matrices_of_other_types_are_not_alike(whole, matrices, tmp_path):
    assert AlikeMatrices.from_matrices(matrices) is not None
    assert AlikeMatrices.from_matrices(matrices[:7]) is None
    doubles = _stored(tmp_path / "doubles", whole[0].astype(np.float64))
    assert AlikeMatrices.from_matrices([*matrices, doubles]) is None


@pytest.fixture
def chosen(whole, matrices):
    """Few columns of one file, most of another and all of the others, as they are or in another order."""
    rng = np.random.default_rng(2)
    tables = [None, rng.permutation(N_COLUMNS).astype(np.int32), *np.full((2, N_COLUMNS), -1, np.int32)]
    tables[2][rng.permutation(N_COLUMNS)[:50]] = rng.permutation(N_COLUMNS)[:50]
    tables[3][: N_COLUMNS - 1] = np.arange(1, N_COLUMNS)
    remapped, expected = [], []
    for number, (matrix, rows) in enumerate(zip(matrices, whole, strict=True)):
        table = tables[number % 4]
        remapped.append(matrix if table is None else matrix.remap(table, N_COLUMNS))
        dense = np.zeros(rows.shape, np.float32)
        table = np.arange(N_COLUMNS) if table is None else table
        dense[:, table[table >= 0]] = rows.toarray()[:, table >= 0]
        expected.append(dense)
    return remapped, np.vstack(expected)


def test_rows_of_selected_columns_are_those_of_the_matrices(whole, chosen, monkeypatch):
    remapped, expected = chosen
    rows, every = np.random.default_rng(1).permutation(len(expected)), scipy.sparse.vstack(whole, format="csr")
    totals, stacked = np.empty(rows.size), Stack(remapped)
    monkeypatch.setattr(CsrMatrix, "read_parts", None)  # which reads one after the other
    assert np.array_equal(stacked.read(rows, ReadContext(), totals).toarray(), expected[rows])
    assert np.allclose(totals, np.asarray(every[rows].sum(axis=1)).ravel())
    assert np.array_equal(stacked.read(rows[:200], ReadContext()).toarray(), expected[rows[:200]])


def test_where_selected_columns_cannot_be_read_together_each_file_is_read_by_itself(chosen, monkeypatch):
    remapped, expected = chosen
    monkeypatch.setattr(SelectedColumns, "_keep", lambda *_: -1)
    assert np.array_equal(Stack(remapped).read(np.arange(len(expected)), ReadContext()).toarray(), expected)


def test_reads_of_selected_columns_are_counted_as_of_each_file_by_itself(chosen, monkeypatch):
    together = Stack(chosen[0])
    monkeypatch.setattr(AlikeMatrices, "from_matrices", lambda _: None)
    counts = []
    for stack in (together, Stack(chosen[0])):
        with observing(Observer()) as observer:
            stack.read(np.arange(stack.shape[0]), ReadContext(Threads(1)))
        counts.append((observer.reads().bytes, observer.reads().requests))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("selected", [False, True])
def test_a_column_out_of_range_is_refused_by_the_name_of_its_file(selected, whole, matrices, tmp_path):
    damaged = whole[5].copy()
    damaged.indices[-1] = N_COLUMNS
    matrices[5] = _stored(tmp_path / "5", damaged)
    few = np.where(np.arange(N_COLUMNS) < 9, np.arange(N_COLUMNS, dtype=np.int32), np.int32(-1))
    stacked = Stack([matrix.remap(few, 9) if selected else matrix for matrix in matrices])
    with pytest.raises(DamagedFileError, match=r"5: .*indices has column numbers outside"):
        stacked.read(np.arange(stacked.shape[0]), ReadContext())
