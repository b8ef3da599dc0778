"""Matrix Market text: equal to what scipy reads, in any order of entries, and refused where it is damaged."""

import gzip

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import by_cell, matrix_market
from scdataset.engine.containers.matrix_market import MatrixMarket
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import CollectionError, DamagedFileError


def write(path, field, shape, entries, *, end="\n", packed=False):
    lines = [f"%%MatrixMarket matrix coordinate {field} general", "% made by hand", " ".join(map(str, shape)), *entries]
    data = end.join([*lines, ""]).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return str(path)


def made(path, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    by_cell.write_rows(path, folder)
    files = {file.name: LocalFile(str(file), str(path)) for file in folder.iterdir()}
    matrix = by_cell.csr_matrix(files, MatrixMarket.from_path(path).shape[0])
    return matrix.read(np.arange(matrix.shape[0]), ReadContext(Threads(1)))


def assert_equal_to_scipy(found, path):
    expected = scipy.sparse.csr_matrix(scipy.io.mmread(path).T)
    assert np.array_equal(found.toarray(), expected.toarray())
    assert found.shape == expected.shape
    assert found.nnz == expected.nnz


def entries_of(counts, order):
    genes, cells = np.nonzero(counts)
    lines = [f"{gene + 1} {cell + 1} {counts[gene, cell]}" for gene, cell in zip(genes, cells, strict=True)]
    by_cells = np.argsort(cells, kind="stable")
    orders = {
        "cells": by_cells,
        "genes": np.arange(genes.size),
        "none": np.random.default_rng(1).permutation(genes.size),
    }
    return [lines[i] for i in orders[order]]


@pytest.mark.parametrize("order", ["cells", "genes", "none"])
@pytest.mark.parametrize("field", ["integer", "real"])
@pytest.mark.parametrize(("packed", "end"), [(True, "\n"), (False, "\r\n"), (False, "\n\n")])
def test_it_is_read_as_scipy_reads_it(tmp_path, monkeypatch, order, field, packed, end):
    monkeypatch.setattr(matrix_market, "_BLOCK", 1000)  # lines are cut between blocks
    counts = np.random.default_rng(0).poisson(0.4, (30, 50))
    counts = counts * 0.37 if field == "real" else counts
    entries = entries_of(counts, order)
    path = write(tmp_path / "a.mtx", field, (30, 50, len(entries)), entries, end=end, packed=packed)
    found = made(path, tmp_path)
    assert found.dtype == ("i4" if field == "integer" else "f8")
    if packed:
        (tmp_path / "b.mtx").write_bytes(gzip.decompress((tmp_path / "a.mtx").read_bytes()))
        path = str(tmp_path / "b.mtx")
    assert_equal_to_scipy(found, path)


def test_a_number_that_is_large_makes_all_of_them_large(tmp_path):
    path = write(tmp_path / "a.mtx", "integer", (2, 3, 3), ["1 1 7", f"2 2 {2**40}", "1 3 -5"])
    found = made(path, tmp_path)
    assert found.dtype == "i8"
    assert_equal_to_scipy(found, path)


def test_a_pattern_is_ones_and_a_matrix_may_be_empty(tmp_path):
    path = write(tmp_path / "a.mtx", "pattern", (2, 3, 2), ["1 1", "2 3"])
    assert made(path, tmp_path).toarray().tolist() == [[1, 0], [0, 0], [0, 1]]
    (tmp_path / "other").mkdir()
    assert made(write(tmp_path / "b.mtx", "integer", (2, 3, 0), []), tmp_path / "other").nnz == 0


def test_numbers_of_many_digits_are_right(tmp_path):
    words = ["0.1234567890123456789", "1e-300", "nan", "12345678901234567890", "2.5"]
    entries = [f"1 {i + 1} {word}" for i, word in enumerate(words)]
    found = made(write(tmp_path / "a.mtx", "real", (1, 5, 5), entries), tmp_path)
    np.testing.assert_array_equal(found.data, [float(word) for word in words])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["1 1 1"], "1 entry and not the 2"),
        (["1 1 1", "1 2 1", "1 3 1"], "more entries than the 2"),
        (["1 1 1", "3 1 1"], r"there is \(.*3.*1.*\), in a matrix of \(2, 3\)"),
        (["1 1 1", "1 4 1"], "in a matrix of"),
        (["1 1 1", "0 1 1"], "b'0 1 1'"),
        (["1 1 1", "1 -1 1"], "b'1 -1 1'"),
        (["1 1 1", "1 1"], "b'1 1'"),
        (["1 1 1", "1 1 1.5"], "b'1 1 1.5'"),
        (["1 1 1", "1 1 1 1"], "b'1 1 1 1'"),
        (["1 1 1", "one 1 1"], "b'one 1 1'"),
        (["1 1 1", "1 1 99999999999999999999"], "b'1 1 9999"),
        (["1 1 1", "1 1 0x10"], "b'1 1 0x10'"),
        (["1 1 1", "1 1 1_0"], "b'1 1 1_0'"),
    ],
)
def test_text_that_is_no_entry_is_refused(tmp_path, entries, said):
    with pytest.raises(DamagedFileError, match=f"a.mtx.*{said}"):
        made(write(tmp_path / "a.mtx", "integer", (2, 3, 2), entries), tmp_path)


@pytest.mark.parametrize("word", ["x", "", "1.5.5", "1e", "--1"])
def test_a_real_value_that_is_no_number_is_refused(tmp_path, word):
    with pytest.raises(DamagedFileError, match=r"a\.mtx: after 0 entries"):
        made(write(tmp_path / "a.mtx", "real", (2, 3, 1), [f"1 1 {word}"]), tmp_path)


@pytest.mark.parametrize(
    ("field", "sizes", "error"),
    [
        ("complex", (2, 3, 1), CollectionError),
        ("integer", (2, 3), DamagedFileError),
        ("integer", (2, 3, "x"), DamagedFileError),
        ("integer", (2, 3, 10**15), DamagedFileError),
        ("integer", (10**10, 3, 1), DamagedFileError),
    ],
)
def test_headers_that_cannot_be_are_refused(tmp_path, field, sizes, error):
    with pytest.raises(error, match=r"a\.mtx"):
        made(write(tmp_path / "a.mtx", field, sizes, ["1 1 1"]), tmp_path)


def test_symmetric_matrices_are_refused(tmp_path):
    (tmp_path / "a.mtx").write_text("%%MatrixMarket matrix coordinate integer symmetric\n1 1 1\n1 1 1\n")
    with pytest.raises(CollectionError, match="symmetric"):
        MatrixMarket.from_path(str(tmp_path / "a.mtx"))


def test_a_gzip_that_is_cut_is_refused(tmp_path):
    entries = entries_of(np.random.default_rng(0).integers(0, 10**9, (200, 200)), "cells")
    path = write(tmp_path / "a.mtx", "integer", (200, 200, len(entries)), entries, packed=True)
    whole = (tmp_path / "a.mtx").read_bytes()
    (tmp_path / "a.mtx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedFileError, match=r"a\.mtx: its (entries|header) cannot be read"):
        made(path, tmp_path)


def test_text_that_goes_on_for_ever_is_refused(tmp_path):
    """A megabyte of gzip may hold a gigabyte of blank lines or comments."""
    path = write(tmp_path / "a.mtx", "integer", (2, 3, 1), ["1 1 1", "\n" * (3 << 20)], packed=True)
    with pytest.raises(DamagedFileError, match=r"a\.mtx has more text than its 1 entry can take"):
        made(path, tmp_path)
    lines = ["%%MatrixMarket matrix coordinate integer general", "%\n" * (1 << 20), "2 3 1", "1 1 1"]
    (tmp_path / "b.mtx").write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(DamagedFileError, match=r"b\.mtx: its header cannot be read: it has more than 1,048,576 bytes"):
        MatrixMarket.from_path(str(tmp_path / "b.mtx"))


def test_a_line_without_an_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix_market, "_BLOCK", 1000)
    with pytest.raises(DamagedFileError, match="a line of more than"):
        made(write(tmp_path / "a.mtx", "integer", (2, 3, 1), ["1 1 1" + " " * 5000]), tmp_path)
