"""Small files of cells, last changed long ago, and collections of them compared."""

import os

import anndata
import numpy as np
import pandas as pd
import scipy.sparse

LAST_YEAR = 1_700_000_000 * 10**9
"""Long enough ago for openings to be cached."""


WISHES = [
    {},
    {"obs": ["type", "depth"]},
    {"obs": ["type"], "obsm": ["pca"], "unique_names": True},
    {"gene_key": "id", "join": "outer"},
    {"genes": ["g7", "g1"], "dtype": "f8"},
]


def adata(number, *, n_obs=7, names=None):
    rng = np.random.default_rng(number)
    counts = scipy.sparse.random(n_obs, 12, 0.4, "csr", np.float32, rng=rng)
    labels = pd.Categorical(rng.choice(["b", "a", "c"], n_obs), ["c", "b", "a"])
    obs = pd.DataFrame({"type": labels, "depth": rng.random(n_obs)}, names or [f"{number}-{i}" for i in range(n_obs)])
    return anndata.AnnData(
        counts, obs, pd.DataFrame({"id": [f"E{i}" for i in range(12)]}, [f"g{i}" for i in range(12)])
    )


def write(path, number, *, compression=None, **options):
    data = adata(number, **options)
    data.obsm["pca"] = np.random.default_rng(number).random((data.n_obs, 3))
    if number % 2:
        data.obsm["pca"] = data.obsm["pca"].astype(np.float32)
    data.write_h5ad(path, compression=compression)
    os.utime(path, ns=(LAST_YEAR, LAST_YEAR))
    return path


def tables(tmp_path):
    return sorted((tmp_path / "cache" / "tables").glob("*")) if (tmp_path / "cache" / "tables").exists() else []


def assert_equal(one, other):
    assert one.shape == other.shape
    assert one.files == other.files
    pd.testing.assert_index_equal(one.var_names, other.var_names)
    pd.testing.assert_frame_equal(one.var, other.var)
    pd.testing.assert_frame_equal(one.obs, other.obs)
    rows = np.random.default_rng(0).integers(0, one.n_obs, 40)
    read, expected = one.read(rows), other.read(rows)
    for name in expected.keys():  # noqa: SIM118 it is no dict
        stored = [part.toarray() if scipy.sparse.issparse(part) else part for part in (read[name], expected[name])]
        assert stored[0].dtype == stored[1].dtype
        np.testing.assert_array_equal(*stored)
