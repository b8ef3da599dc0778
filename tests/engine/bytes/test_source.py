"""Every source passes the same tests, and files are read alike from all of them."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse
from tests.engine.bytes.distant import DistantBytes
from tests.engine.bytes.files import OfFiles

from scdataset.engine.arrays import stored_arrays
from scdataset.engine.bytes.copied import CopiedFile, block_checksums
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import hdf5
from scdataset.engine.containers.hdf5 import H5File
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads


class TestLocalFile(OfFiles):
    def open(self, content):
        return LocalFile(self.write(content))


class TestCopiedFile(OfFiles):
    def open(self, content):
        path = self.write(content)
        return CopiedFile(path, path, len(content), block_checksums(path), Path(path))


class TestDistantBytes(OfFiles):
    def open(self, content):
        return DistantBytes(self.write(content))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A sparse matrix, as plain bytes and compressed, and a dense one."""
    cells = scipy.sparse.random(2_000, 300, 0.1, "csr", np.float32, np.random.default_rng(1))
    path = tmp_path_factory.mktemp("stored") / "cells.h5"
    with h5py.File(path, "w") as file:
        for name, options in {"plain": {}, "packed": {"chunks": (1_000,), "compression": "gzip"}}.items():
            for part in ("data", "indices", "indptr"):
                file.create_dataset(f"{name}/{part}", data=getattr(cells, part), **options)
        file["dense"] = cells[:, :50].toarray()
    return path, cells


@pytest.mark.parametrize("layout", ["plain", "packed"])
@pytest.mark.parametrize("genes", [None, slice(10, 200, 7)])
def test_rows_of_a_sparse_matrix_are_the_same_without_a_descriptor(stored, layout, genes):
    path, cells = stored
    source = DistantBytes(str(path))
    matrix = hdf5.csr_matrix(H5File(source), layout, cells.shape)
    rows = np.random.default_rng(2).integers(0, 2_000, 500)
    expected = cells[rows]
    if genes is not None:
        table, chosen = np.full(300, -1, np.int32), np.arange(300)[genes]
        table[chosen] = np.arange(chosen.size)
        matrix, expected = matrix.remap(table, chosen.size), expected[:, genes]
    read = matrix.read(rows, ReadContext(Threads(2)))
    np.testing.assert_array_equal(read.toarray(), expected.toarray())


def test_ranges_of_a_window_are_asked_for_together(stored):
    path, cells = stored
    source = DistantBytes(str(path))
    matrix = hdf5.csr_matrix(H5File(source), "plain", cells.shape)
    source.requests.clear()
    matrix.read(np.arange(0, 2_000, 200), ReadContext(Threads(1)))
    assert source.requests == [10, 10]  # values and column numbers


@pytest.mark.parametrize("layout", ["plain", "packed"])
def test_bytes_that_are_announced_are_all_that_are_read(stored, layout, monkeypatch):
    path, cells = stored
    source = DistantBytes(str(path))
    matrix = hdf5.csr_matrix(H5File(source), layout, cells.shape)
    rows, read = np.array([3, 900, 901, 1_999]), []
    assert matrix.announce(rows)
    of_source = source.read_many
    monkeypatch.setattr(source, "read_many", lambda *given: read.extend(zip(*given, strict=True)) or of_source(*given))
    monkeypatch.setattr(source, "read_unchecked", lambda *given: source.read_many(*([one] for one in given))[0])
    monkeypatch.setattr(stored_arrays, "GAP_BYTES", 0)
    matrix.read(rows, ReadContext(Threads(1)))
    assert read
    for offset, size in read:
        assert any(start <= offset and offset + size <= stop for start, stop in joined(source.announced))


def joined(ranges):
    """Join ranges that meet, as neighbouring rows do."""
    found = []
    for start, stop in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1][1] = max(stop, found[-1][1])
        else:
            found.append([start, stop])
    return found


def test_rows_of_a_dense_matrix_are_the_same_without_a_descriptor(stored):
    path, cells = stored
    matrix = hdf5.dense_matrix(H5File(DistantBytes(str(path))), "dense")
    rows = np.random.default_rng(2).integers(0, 2_000, 500)
    np.testing.assert_array_equal(matrix.read(rows, ReadContext(Threads(2))), cells[rows, :50].toarray())
