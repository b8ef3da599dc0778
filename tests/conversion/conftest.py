"""A small file of cells with every kind of column."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.conversion.stores import SMALL, content, gene_names

from scdataset import convert
from scdataset.conversion.workspace import Workspace

N, GENES = 600, 40


@pytest.fixture(scope="session")
def adata():
    rng = np.random.default_rng(0)
    x = scipy.sparse.random(N, GENES, 0.3, "csr", dtype=np.float32, random_state=0)
    x.data = np.ceil(x.data * 300)
    obs = pd.DataFrame(
        {
            "ordered": pd.Categorical.from_codes(rng.integers(-1, 3, N), ["low", "mid", "high"], ordered=True),
            "text": rng.choice(["x", "yy"], N),
            "all different": [f"barcode-{row}" for row in range(N)],
            "flag": rng.random(N) > 0.5,
            "count": pd.array(np.where(rng.random(N) > 0.5, None, 3), dtype="Int64"),
            "maybe": pd.array(np.where(rng.random(N) > 0.5, None, True), dtype="boolean"),
            "number": rng.random(N).astype(np.float32),
        },
        index=[f"cell{row}" for row in range(N)],
    )
    var = pd.DataFrame({"kind": ["a"] * 30 + ["b"] * 10, "place": np.arange(GENES)}, index=gene_names(range(GENES)))
    obsm = {"X_pca": rng.random((N, 5)), "sites": scipy.sparse.random(N, 9, 0.2, "csr", random_state=1)}
    return anndata.AnnData(x, obs=obs, var=var, obsm=obsm, layers={"logged": x.log1p()})


@pytest.fixture(scope="session")
def path(adata, tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "cells.h5ad"
    adata.copy().write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def expected(path, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "a.zarr"
    convert(path, out, **SMALL)
    return content(out)


@pytest.fixture
def interrupted(path, tmp_path, monkeypatch):
    """Return where the store of a conversion is to be that ended after its first shard."""
    note = Workspace.note

    def stop(self, matrix, number, stored):
        note(self, matrix, number, stored)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "note", stop)
        with pytest.raises(KeyboardInterrupt):
            convert(path, tmp_path / "a.zarr", **SMALL)
    return tmp_path / "a.zarr"
