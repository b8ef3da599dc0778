"""A file of cells for Lightning, and the data module over it."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

N, GENES = 200, 12


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Write 200 cells of four donors, 50 each, in three classes; the last ten have none."""
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.poisson(0.5, (N, GENES)).astype("f4"))  # noqa: N806 the field's name
    kinds = rng.choice(["B", "NK", "T"], N, p=[0.6, 0.3, 0.1]).astype(object)
    columns = {
        "kind": pd.Categorical(kinds),
        "maybe": pd.Categorical([*kinds[:-10], *[None] * 10]),
        "donor": pd.Categorical(np.repeat(["D1", "D2", "D3", "D4"], N // 4)),
        "number": np.arange(N),
    }
    var = pd.DataFrame(index=[f"gene{i}" for i in range(GENES)])
    made = anndata.AnnData(X, pd.DataFrame(columns, index=[f"cell{i}" for i in range(N)]), var)
    file = tmp_path_factory.mktemp("lightning") / "cells.h5ad"
    made.write_h5ad(file)
    return file


@pytest.fixture
def module(path):
    """Return a function that makes a data module of the file, with two donors held out."""
    from scdataset.integrations.lightning import CellDataModule

    usual = {
        "val": {"donor": ["D3"]},
        "test": {"donor": ["D4"]},
        "predict": "all",
        "label": "kind",
        "batch_size": 8,
        "fetch_factor": 4,
        "block_size": 2,
        "open_options": {"obs": ["number"]},
        "seed": 3,
    }
    return lambda collection=path, **options: CellDataModule(collection, **{**usual, **options})
