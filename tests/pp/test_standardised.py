"""Variances standardised by a curve through those of all genes."""

import sys

import anndata
import numpy as np
import pytest
from tests.pp.expected import assert_as_scanpy

from scdataset import ArgumentValueError
from scdataset.pp import highly_variable_genes

V3 = ("seurat_v3", "seurat_v3_paper")
pytestmark = [
    pytest.mark.usefixtures("small_windows"),
    pytest.mark.filterwarnings("ignore:Transforming to str index"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize("batch_key", [None, "donor"])
@pytest.mark.parametrize("flavor", V3)
def test_seurat_v3_has_the_bits_of_scanpy(scanpy, counts, opened, flavor, batch_key):
    found = highly_variable_genes(opened(counts, rows_per_file=130), 40, flavor, batch_key)
    expected = scanpy.pp.highly_variable_genes(
        counts, n_top_genes=40, flavor=flavor, batch_key=batch_key, inplace=False
    )
    if batch_key is not None:  # scanpy from 1.12 on adds up moments of batches, but not of one, in another order
        batches = [counts[counts.obs[batch_key] == batch].copy() for batch in counts.obs[batch_key].cat.categories]
        each = [
            scanpy.pp.highly_variable_genes(batch, n_top_genes=40, flavor=flavor, inplace=False) for batch in batches
        ]
        ranks = np.ma.masked_invalid([one["highly_variable_rank"] for one in each])
        expected["highly_variable_rank"] = np.ma.median(ranks, axis=0).filled(np.nan)
        expected["variances_norm"] = np.mean([one["variances_norm"] for one in each], axis=0)
    assert_as_scanpy(found, expected, exact=True)
    assert found["highly_variable"].sum() == 40


def test_means_that_are_too_much_alike_get_noise_and_a_warning(counts, opened):
    made = counts.copy()
    few = np.flatnonzero(made.obs["donor"] == "c")[3:]
    made = made[np.setdiff1d(np.arange(made.n_obs), few)].copy()
    with pytest.warns(UserWarning, match=r"Genes of 1 of 3 batches.*noise.*'c': "):
        first = highly_variable_genes(opened(made), 40, batch_key="donor")
    with pytest.warns(UserWarning, match="noise"):
        again = highly_variable_genes(opened(made), 40, batch_key="donor")
    assert first.equals(again)


def test_cells_that_are_all_alike_are_refused(opened):
    same = anndata.AnnData(np.ones((20, 30), np.float32))
    with pytest.raises(ArgumentValueError, match="Too few genes vary among 20 cells"):
        highly_variable_genes(opened(same), 5)


def test_without_scikit_misc_the_error_says_what_to_install(counts, opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "skmisc.loess", None)
    with pytest.raises(ImportError, match="pip install scikit-misc"):
        highly_variable_genes(opened(counts), 10)
