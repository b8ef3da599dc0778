"""Columns chosen while rows are read: what reading everything and indexing gives, by every path."""

import h5py
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples, often

from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.buffers import BufferPool
from scdataset.engine.containers.hdf5 import H5File, csr_matrix, dense_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.kernels.gather import SHORT_READ
from scdataset.engine.matrices import select
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.parts import Part
from scdataset.engine.matrices.remapped import RemappedColumns
from scdataset.engine.matrices.stack import Stack
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError

BUFFERS, THREADS = BufferPool(), {1: Threads(1), 2: Threads(2)}


def write(path, matrix, **options):
    with h5py.File(path, "w") as h5:
        for name in ("data", "indices", "indptr"):
            chunked = {**options, "maxshape": (None,)} if options and name != "indptr" else {}
            h5.create_dataset(f"X/{name}", data=getattr(matrix, name), **chunked)
    return csr_matrix(H5File(str(path)), "X", matrix.shape)


def random_csr(rng, shape, dtype=np.float32):
    matrix = scipy.sparse.random(*shape, 0.3, format="csr", rng=rng)
    matrix.data = rng.integers(1, 100, matrix.nnz).astype(dtype)
    return matrix


def table_of(genes, n_stored):
    table = np.full(n_stored, -1, np.int32)
    table[genes] = np.arange(len(genes))
    return table


LAYOUTS = {"contiguous": {}, "chunked": {"chunks": (64,)}, "gzip": {"chunks": (64,), "compression": "gzip"}}


@pytest.mark.usefixtures("buffers")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("n_genes", [0, 1, 3, 40, 70])
def test_chosen_columns_are_those_of_indexing(layout, threads, n_genes, tmp_path):
    rng = np.random.default_rng(n_genes)
    matrix = random_csr(rng, (90, 70))
    stored = write(tmp_path / "m.h5", matrix, **LAYOUTS[layout])
    genes = rng.permutation(70)[:n_genes]
    rows = rng.integers(0, 90, 130)
    found = stored.remap(table_of(genes, 70), n_genes).read(rows, ReadContext(THREADS[threads], BUFFERS))
    assert found.shape == (130, n_genes)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), matrix[rows][:, genes].toarray())


SUMMED = [(layout, dtype) for layout in LAYOUTS for dtype in ("f4", "f8", "i4", "u2", "?")]


@pytest.mark.usefixtures("buffers")
@pytest.mark.parametrize(
    ("layout", "dtype"), often(SUMMED, lambda layout, dtype: dtype == "f4" or layout + dtype == "gzipu2")
)
def test_sums_of_rows_go_over_columns_that_are_left_out(layout, dtype, tmp_path):
    rng = np.random.default_rng(0)
    matrix = random_csr(rng, (90, 70), dtype)
    stored = write(tmp_path / "m.h5", matrix, **LAYOUTS[layout])
    rows = rng.integers(0, 90, 130)
    for genes in (rng.permutation(70)[:3], rng.permutation(70)[:40], rng.permutation(70)):
        totals = np.empty(130)
        chosen = stored.remap(table_of(genes, 70), len(genes))
        found = Stack([chosen]).read(rows, ReadContext(THREADS[2], BUFFERS), totals)
        np.testing.assert_array_equal(found.toarray(), matrix[rows][:, genes].toarray())
        np.testing.assert_array_equal(totals, matrix[rows].sum(axis=1, dtype=np.float64).A1)
        summed = np.empty(130)
        RemappedColumns.read_parts(
            Part.whole(RemappedColumns(stored, table_of(genes, 70), len(genes)), rows),
            len(genes),
            matrix.dtype,
            ReadContext(THREADS[2], BUFFERS),
            summed,
        )
        np.testing.assert_array_equal(totals, summed)


def test_sums_of_rows_are_right_where_a_read_goes_on_after_a_signal(tmp_path, monkeypatch):
    matrix = random_csr(np.random.default_rng(0), (90, 70))
    stored = write(tmp_path / "m.h5", matrix).remap(table_of([3, 5], 70), 2)
    monkeypatch.setattr(select, "keep_runs", lambda *_: -1)
    monkeypatch.setattr(PlainArray, "_gather", lambda *_: (SHORT_READ, 0))
    totals = np.empty(90)
    found = Stack([stored]).read(np.arange(90), ReadContext(THREADS[1], BUFFERS), totals)
    np.testing.assert_array_equal(found.toarray(), matrix[:, [3, 5]].toarray())
    np.testing.assert_array_equal(totals, matrix.sum(axis=1).A1)


@given(st.data())
@settings(deadline=None, max_examples=examples(60))
def test_matrices_with_different_columns_are_read_as_one(tmp_path_factory, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n_result = data.draw(st.integers(1, 40))
    folder = tmp_path_factory.mktemp("parts")
    expected, matrices = [], []
    for number in range(data.draw(st.integers(1, 4))):
        n_stored = data.draw(st.integers(1, 60))
        dtype = data.draw(st.sampled_from(["f4", "f8", "i4", "u2", "?"]))
        matrix = random_csr(rng, (data.draw(st.integers(1, 30)), n_stored), dtype)
        table = np.full(n_stored, -1, np.int32)
        shared = min(n_stored, n_result, data.draw(st.integers(0, 60)))
        table[rng.permutation(n_stored)[:shared]] = rng.permutation(n_result)[:shared]
        options = LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))]
        matrices.append(write(folder / f"{number}.h5", matrix, **options).remap(table, n_result))
        wide = np.zeros((matrix.shape[0], n_result), dtype)
        wide[:, table[table >= 0]] = matrix.toarray()[:, table >= 0]
        expected.append(wide)
    rows = [rng.integers(0, len(wide), rng.integers(0, 50)) for wide in expected]
    places = rng.permutation(sum(map(len, rows)))
    parts, wanted, begun = [], np.zeros((places.size, n_result)), 0
    for matrix, wide, own in zip(matrices, expected, rows, strict=True):
        where = places[begun : begun + own.size]
        begun += own.size
        parts.append(Part(matrix, np.sort(own), where))
        wanted[where] = wide[np.sort(own)]
    found = CsrMatrix.read_parts(parts, n_result, np.dtype("f8"), ReadContext(THREADS[2], BUFFERS))
    np.testing.assert_array_equal(found.toarray(), wanted)


def test_choosing_again_chooses_of_what_was_chosen(tmp_path):
    rng = np.random.default_rng(0)
    matrix = random_csr(rng, (20, 30))
    with h5py.File(tmp_path / "dense.h5", "w") as h5:
        h5["X"] = matrix.toarray()
    for stored in (write(tmp_path / "m.h5", matrix), dense_matrix(H5File(str(tmp_path / "dense.h5")), "X")):
        first = stored.remap(table_of([9, 2, 5, 7], 30), 4)
        found = first.remap(np.array([-1, 3, 0, -1], np.int32), 5).read(np.arange(20), ReadContext(THREADS[1], BUFFERS))
        wide = np.zeros((20, 5), np.float32)
        wide[:, [3, 0]] = matrix.toarray()[:, [2, 5]]
        np.testing.assert_array_equal(found.toarray() if scipy.sparse.issparse(found) else found, wide)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_column_number_out_of_range_is_an_error_that_names_file_and_array(layout, tmp_path):
    matrix = random_csr(np.random.default_rng(0), (20, 30))
    matrix.indices[5] = 30
    stored = write(tmp_path / "m.h5", matrix, **LAYOUTS[layout])
    with pytest.raises(DamagedFileError, match=r"m\.h5: chunk 0 of X/indices has column numbers outside \[0, 30\)"):
        stored.remap(table_of([1, 2], 30), 2).read(np.arange(20), ReadContext(THREADS[1], BUFFERS))
