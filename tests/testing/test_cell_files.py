"""Tests that formats inherit: they fail for files that are wrong."""

import numpy as np
import pytest

from scdataset.testing.cell_files import ROWS, CellFileTests, cells


class Suite(CellFileTests):
    obs = ("type",)

    def write(self, folder, cells):
        cells.write_h5ad(folder / "a.h5ad")
        return folder / "a.h5ad"


@pytest.mark.parametrize("wrong", [None, "X", "type"])
def test_cells_with_other_values_or_labels_fail(tmp_path, wrong):
    written = cells()
    if wrong == "X":
        written.X.data[:] += 1
    elif wrong == "type":
        written.obs["type"] = written.obs["type"].to_numpy()[::-1]
    suite = Suite()
    with suite.open(suite.write(tmp_path, written), obs=["type"], obsm=["X_pca"]) as collection:
        if wrong is None:
            suite.check(collection, ROWS, cells())
        else:
            with pytest.raises(AssertionError):
                suite.check(collection, ROWS, cells())


def test_cells_are_the_same_each_time():
    assert (cells().X != cells().X).nnz == 0
    assert cells(1).X.nnz != cells().X.nnz
    assert cells(dtype=np.int16).X.dtype == np.int16
