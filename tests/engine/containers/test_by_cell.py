"""Entries of genes x cells as plain arrays of cells x genes."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers.by_cell import csr_matrix, write_rows
from scdataset.engine.context import ReadContext
from scdataset.errors import DamagedFileError

GENES_BY_CELLS = np.array([[1, 0, 3], [0, 0, 5], [2, 0, 0], [7, 0, 4]])
HEADER = "%%MatrixMarket matrix coordinate integer general\n"


def read(folder):
    files = {name: LocalFile(str(folder / name)) for name in ("data.npy", "indices.npy", "indptr.npy")}
    return csr_matrix(files, 4).read(np.array([2, 0, 1]), ReadContext())


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 0, 4, 1, 3, 2]], ids=["by cell", "in any order"])
def test_cells_are_those_of_the_text(tmp_path, order):
    genes, cells = np.nonzero(GENES_BY_CELLS)
    by_cell = np.argsort(cells, kind="stable")[order]
    lines = [f"{genes[k] + 1} {cells[k] + 1} {GENES_BY_CELLS[genes[k], cells[k]]}\n" for k in by_cell]
    (tmp_path / "m.mtx").write_text(HEADER + "4 3 6\n" + "".join(lines))
    write_rows(str(tmp_path / "m.mtx"), tmp_path)
    found = read(tmp_path)
    assert found.toarray().tolist() == GENES_BY_CELLS.T[[2, 0, 1]].tolist()
    assert found.dtype == np.int32


def test_a_number_beyond_int32_makes_all_of_them_large(tmp_path):
    large = scipy.sparse.coo_matrix(GENES_BY_CELLS.astype("i8") * 2**30)
    scipy.io.mmwrite(tmp_path / "m.mtx", large)
    write_rows(str(tmp_path / "m.mtx"), tmp_path)
    assert read(tmp_path).toarray().tolist() == large.toarray().T[[2, 0, 1]].tolist()


def test_row_pointers_that_do_not_fit_are_told_with_the_file(tmp_path):
    scipy.io.mmwrite(tmp_path / "m.mtx", scipy.sparse.coo_matrix(GENES_BY_CELLS))
    write_rows(str(tmp_path / "m.mtx"), tmp_path)
    np.save(tmp_path / "indptr.npy", np.array([0, 9, 3, 6]))
    with pytest.raises(DamagedFileError, match=r"indptr\.npy: row pointers"):
        read(tmp_path)


def test_more_entries_than_the_text_can_have_are_refused_before_space_is_taken(tmp_path):
    (tmp_path / "m.mtx").write_text(HEADER + "4 3 99999999999\n1 1 1\n")
    with pytest.raises(DamagedFileError, match="cannot have 99999999999 entries"):
        write_rows(str(tmp_path / "m.mtx"), tmp_path)
    assert not (tmp_path / "data.npy").exists()
