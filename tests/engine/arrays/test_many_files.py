"""Rows of many plain files, read together: the same rows as from each by itself, and the same errors."""

import os
import pickle

import h5py
import numpy as np
import pytest
import scipy.sparse
from tests.examples import rare

from scdataset import open_collection
from scdataset.engine.arrays.many_files import ManyReads
from scdataset.engine.kernels.gather import READS_COMPILED
from scdataset.errors import DamagedFileError

N_FILES, N_ROWS, N_COLUMNS = 80, 6, 30


def _matrix(number, kind):
    values = scipy.sparse.random(N_ROWS, N_COLUMNS, 0.4, "csr", np.float32, rng=np.random.default_rng(number))
    return values if kind == "CSR" else values.toarray()


def _write(path, matrix, chunks, genes=range(N_COLUMNS)):
    with h5py.File(path, "w") as file:
        file.create_dataset("var/_index", data=np.array([f"g{i}" for i in genes], "S"))
        file.create_dataset("obs/_index", data=np.array([f"c{i}" for i in range(N_ROWS)], "S"))
        for name in ("obs", "var"):
            file[name].attrs.update(
                {"_index": "_index", "column-order": [], "encoding-type": "dataframe", "encoding-version": "0.2.0"}
            )
        if isinstance(matrix, np.ndarray):
            file.create_dataset("X", data=matrix, chunks=(2, N_COLUMNS) if chunks else None)
            file["X"].attrs["encoding-type"] = "array"
            return
        for name in ("data", "indices", "indptr"):
            file.create_dataset(f"X/{name}", data=getattr(matrix, name), chunks=(4,) if chunks else None)
        file["X"].attrs.update({"encoding-type": "csr_matrix", "shape": matrix.shape})


@pytest.fixture(
    scope="module", params=[("CSR", True), ("dense", False), *rare(("CSR", False), ("dense", True))], ids=str
)
def stored(request, tmp_path_factory):
    kind, chunks = request.param
    folder = tmp_path_factory.mktemp("many")
    matrices = [_matrix(number, kind) for number in range(N_FILES)]
    paths = [folder / f"{number}.h5ad" for number in range(N_FILES)]
    for path, matrix in zip(paths, matrices, strict=True):
        _write(path, matrix, chunks)
    whole = np.vstack([matrix if kind == "dense" else matrix.toarray() for matrix in matrices])
    return paths, whole


def _dense(read):
    return read if isinstance(read, np.ndarray) else read.toarray()


@pytest.fixture
def together(monkeypatch):
    """Return the reads of many files, as they begin."""
    begun, read = [], ManyReads.read
    monkeypatch.setattr(ManyReads, "read", lambda self, *given: begun.append(self) or read(self, *given))
    return begun


@pytest.mark.parametrize("threads", [3, *rare(1)])
def test_rows_of_many_files_are_those_of_each(stored, threads, together):
    paths, whole = stored
    collection = open_collection(paths, num_threads=threads)
    rng = np.random.default_rng(0)
    for rows in (np.arange(len(whole)), rng.integers(0, len(whole), 700), rng.permutation(len(whole))[:100], [5, 3]):
        collection.announce(np.asarray(rows))
        assert np.array_equal(_dense(collection[rows]["X"]), whole[rows])
    assert together or not READS_COMPILED


def test_of_few_files_each_is_read_by_itself_in_parts(stored, together):
    paths, whole = stored
    assert np.array_equal(_dense(open_collection(paths[:7])[:]["X"]), whole[: 7 * N_ROWS])
    rows = np.arange(7 * N_ROWS)
    assert np.array_equal(_dense(open_collection(paths)[rows]["X"]), whole[rows])
    assert not together


def test_many_files_are_read_in_another_process_and_once_they_were_closed(stored, together):
    paths, whole = stored
    collection = pickle.loads(pickle.dumps(open_collection(paths)))
    assert np.array_equal(_dense(collection[:]["X"]), whole)
    collection.close()
    assert np.array_equal(_dense(collection[:]["X"]), whole)
    assert together or not READS_COMPILED


@pytest.fixture
def copies(stored, tmp_path):
    paths = [tmp_path / path.name for path in stored[0][:20]]
    for path, source in zip(paths, stored[0], strict=False):
        path.write_bytes(source.read_bytes())
    return paths


def test_a_file_among_many_that_ends_early_is_named(copies):
    collection = open_collection(copies)
    status = copies[13].stat()
    os.truncate(copies[13], 600)
    os.utime(copies[13], ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DamagedFileError, match=r"13\.h5ad"):
        collection[:]


@pytest.mark.parametrize("genes", [None, *rare(["g3", "g1"])])
def test_a_file_among_many_that_was_replaced_while_they_are_read_is_named(copies, genes):
    collection = open_collection(copies, genes=genes)
    collection[:]
    copies[4].replace(copies[13])
    with pytest.raises(DamagedFileError, match=r"(4|13)\.h5ad .*(replaced|vanished)"):
        collection[:]


def test_where_a_compiled_read_ends_early_each_file_that_is_left_is_read_by_itself(stored, monkeypatch):
    paths, whole = stored
    monkeypatch.setattr(ManyReads, "read", lambda *_: 0)
    assert np.array_equal(_dense(open_collection(paths)[:]["X"]), whole)


@pytest.mark.parametrize("kind", ["CSR", "dense"])
def test_rows_of_files_that_are_not_stored_alike_are_those_of_each(kind, tmp_path):
    matrices = [_matrix(number, kind) for number in range(12)]
    for number, matrix in enumerate(matrices):
        stored = matrix.astype(np.float64 if number % 3 == 1 else np.float32)
        _write(tmp_path / f"{number:02}.h5ad", stored, chunks=number % 3 == 2)
    whole = np.vstack([_dense(matrix) for matrix in matrices])
    rows = np.random.default_rng(0).permutation(len(whole))
    assert np.array_equal(_dense(open_collection(tmp_path)[rows]["X"]), whole[rows])


def test_rows_of_many_files_with_genes_in_orders_of_their_own_are_read_together(tmp_path, together):
    rng, whole = np.random.default_rng(0), []
    for number in range(10):
        order, matrix = rng.permutation(N_COLUMNS) if number % 3 else np.arange(N_COLUMNS), _matrix(number, "CSR")
        _write(tmp_path / f"{number}.h5ad", matrix[:, order].sorted_indices(), chunks=False, genes=order)
        whole.append(matrix.toarray())
    rows = rng.permutation(10 * N_ROWS)
    assert np.array_equal(_dense(open_collection(tmp_path, join="inner")[rows]["X"]), np.vstack(whole)[rows])
    assert together or not READS_COMPILED
