"""Simulated cells as files, and scanpy, whose results are the expected ones."""

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

N_OBS, N_VARS = 300, 200


def simulated(n_obs=N_OBS, n_vars=N_VARS, seed=0):
    """Return counts of cells of three donors: some genes are never expressed, two are alike, one cell is empty."""
    rng = np.random.default_rng(seed)
    means = rng.gamma(0.5, 2, n_vars)
    counts = rng.negative_binomial(2, 2 / (2 + means * rng.gamma(5, 0.2, (n_obs, 1)))).astype(np.float32)
    counts[:, :7], counts[:, 9], counts[4] = 0, counts[:, 8], 0
    obs = pd.DataFrame({"donor": pd.Categorical(rng.choice(["b", "a", "c"], n_obs, p=[0.5, 0.3, 0.2]))})
    names = [
        f"{'MT-' if i % 20 == 0 else ''}g{i * 7919 % 1009:04d}" for i in range(n_vars)
    ]  # not in alphabetical order
    obs.index = [f"cell{i}" for i in range(n_obs)]
    return anndata.AnnData(sp.csr_matrix(counts), obs, pd.DataFrame(index=names))


@pytest.fixture(scope="session")
def scanpy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scanpy
    return scanpy


@pytest.fixture(scope="session")
def counts():
    """Return counts in memory; a copy is to be changed, not these."""
    return simulated()


@pytest.fixture(scope="session")
def logged(counts, scanpy):
    """Return the same normalised and logged."""
    made = counts[np.arange(N_OBS) != 4].copy()
    scanpy.pp.normalize_total(made, target_sum=1e4)
    scanpy.pp.log1p(made)
    return made


@pytest.fixture
def opened(tmp_path):
    """Return a function from AnnData to a collection over files of it, of so many rows each."""
    from scdataset import open_collection

    def write(adata, rows_per_file=None, **options):
        rows = rows_per_file or adata.n_obs
        paths = []
        for first in range(0, adata.n_obs, rows):
            paths.append(tmp_path / f"{first:05d}.h5ad")
            adata[first : first + rows].write_h5ad(paths[-1])
        return open_collection(paths, **options)

    return write


@pytest.fixture
def small_windows(monkeypatch):
    """Have windows of a few rows, so that small collections take many."""
    from scdataset.pp import streaming

    monkeypatch.setattr(streaming, "_FIRST_ROWS", 7)
    monkeypatch.setattr(streaming, "_TARGET_BYTES", 20_000)
