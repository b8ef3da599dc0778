"""Cells of AnnData, taken and cut."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset.collections.adapters.annotated import apart, batch_taker, cut, matrix_of, take, without_matrix

ROWS = np.array([7, 0, 3])


@pytest.fixture
def adata():
    counts = scipy.sparse.random(10, 6, 0.5, "csr", dtype="f4", rng=np.random.default_rng(0))
    obs = pd.DataFrame({"type": pd.Categorical(["a", "b"] * 5)}, [f"c{i}" for i in range(10)])
    made = anndata.AnnData(counts, obs, pd.DataFrame(index=[f"g{i}" for i in range(6)]))
    made.obsm["pca"], made.uns["note"] = np.arange(20.0).reshape(10, 2), {"k": 1}
    return made


def same(one, other):
    assert (one.X != other.X).nnz == 0
    pd.testing.assert_frame_equal(one.obs, other.obs, check_frame_type=False)
    np.testing.assert_array_equal(one.obsm["pca"], other.obsm["pca"])
    assert one.uns == other.uns


def test_taken_and_cut_cells_are_those_that_anndata_gives(adata):
    same(take(adata, ROWS), adata[ROWS])
    assert not take(adata, ROWS).is_view
    same(cut(adata, slice(2, 5)), adata[2:5])
    same(cut(take(adata, slice(1, 9)), slice(2, 5)), adata[3:6])


@pytest.mark.parametrize("leave", [True, False])
def test_batches_are_those_cells_and_may_be_changed_where_they_leave_the_loop(adata, leave):
    taker = batch_taker(adata, leave=leave)
    same(taker(ROWS), adata[ROWS])
    if leave:
        first = taker(ROWS)
        first.obs["type"] = "x"
        first.X.data[:] = 9
        same(taker(ROWS), adata[ROWS])


def test_cells_that_only_anndata_can_copy_have_no_taker(adata):
    assert batch_taker(adata[:5], leave=True) is None
    adata.raw = adata.copy()
    assert batch_taker(adata, leave=True) is None


def test_parts_are_taken_without_the_matrix(adata):
    assert without_matrix(adata).X is None
    assert matrix_of(adata) is adata.X
    view = adata[:4]
    assert apart(view) is not view
    assert apart(adata) is adata
