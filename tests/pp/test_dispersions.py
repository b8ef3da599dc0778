"""Dispersions of logarithms."""

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.pp.expected import assert_as_scanpy

from scdataset.pp import highly_variable_genes

OTHERS = ("seurat", "cell_ranger")
pytestmark = [
    pytest.mark.usefixtures("small_windows"),
    pytest.mark.filterwarnings("ignore:Transforming to str index"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize("batch_key", [None, "donor"])
@pytest.mark.parametrize("flavor", OTHERS)
def test_dispersions_are_those_of_scanpy(scanpy, logged, opened, flavor, batch_key):
    expressed = logged[:, 5:].copy()  # with more genes that no cell expresses, scanpy fails
    found = highly_variable_genes(opened(expressed, rows_per_file=130), 40, flavor, batch_key)
    expected = scanpy.pp.highly_variable_genes(
        expressed, n_top_genes=40, flavor=flavor, batch_key=batch_key, inplace=False
    )
    assert_as_scanpy(found, expected, exact=False)


def test_the_base_of_the_logarithm_is_taken_back(scanpy, counts, opened):
    made = counts[np.arange(counts.n_obs) != 4].copy()
    scanpy.pp.normalize_total(made, target_sum=1e4)
    scanpy.pp.log1p(made, base=2)
    found = highly_variable_genes(opened(made), 40, "seurat", log_base=2)
    expected = scanpy.pp.highly_variable_genes(made, n_top_genes=40, flavor="seurat", inplace=False)
    assert_as_scanpy(found, expected, exact=False)


def test_cell_ranger_takes_genes_that_no_cell_expresses(logged, opened):
    """scanpy fails where a tenth of the means are alike."""
    wide = anndata.AnnData(
        np.hstack([np.zeros((logged.n_obs, 60), np.float32), logged.X.toarray()]),
        var=pd.DataFrame(index=[f"zero{i}" for i in range(60)] + list(logged.var_names)),
    )
    found = highly_variable_genes(opened(wide), 40, "cell_ranger")
    assert found["highly_variable"].sum() >= 40
    assert not found["highly_variable"].iloc[:60].any()
