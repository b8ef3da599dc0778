"""Files that other people's software wrote: every row equals what anndata reads."""

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr
from anndata.experimental import AnnCollection

from scdataset import BlockShuffling, BlockWeightedSampling, adata_to_mindex, scDataset

FILES = [
    "cells/heart_human.h5ad",
    "cells/heart_chicken.h5ad",
    "cells/merfish_mouse.h5ad",
    "odd/ktplotspy_ventolab_X_none.h5ad",
    "odd/scfates_test_unsorted_indices.h5ad",
    "odd/cap_valid_dense_float64.h5ad",
    "old_schema/anndata_archive_v0.5.0.h5ad",
    "old_schema/anndata_archive_v0.7.0.h5ad",
    "old_schema/anndata_archive_v0.7.8.h5ad",
    "old_schema/anndata_archive_v0.11.4.h5ad",
    "old_schema/scirpy_wu2020_200_v0_6.h5ad",
    "old_schema/scirpy_wu2020_200_v0_11.h5ad",
]


def opened(path, **options):
    """Open a file, without what anndata says of its age."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.read_h5ad(path, **options)


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def assert_same_matrix(found, stored):
    if stored is None:
        assert found is None
    elif isinstance(stored, pd.DataFrame):
        assert found.equals(stored)
    else:
        assert sp.issparse(found) == sp.issparse(stored)
        assert found.dtype == stored.dtype
        assert dense(found).tobytes() == dense(stored).tobytes()


def assert_same_cells(found, stored):
    """Compare all that is aligned to cells, values and dtypes, and the categories too."""
    assert found.obs_names.equals(stored.obs_names)
    assert_same_matrix(found.X, stored.X)
    for kind in ("layers", "obsm"):
        assert getattr(found, kind).keys() == getattr(stored, kind).keys()
        for name, matrix in getattr(stored, kind).items():
            assert_same_matrix(getattr(found, kind)[name], matrix)
    if stored.raw is not None:
        assert_same_matrix(found.raw.X, stored.raw.X)
    assert found.obs.equals(stored.obs)
    assert (found.obs.dtypes == stored.obs.dtypes).all()
    assert found.var.equals(stored.var)
    assert found.uns.keys() == stored.uns.keys()


@pytest.mark.parametrize("name", FILES)
def test_every_cell_of_a_backed_file_comes_once_and_equals_the_one_in_memory(real_data, name):
    path = real_data(name)
    stored, backed = opened(path), opened(path, backed="r")
    position = dict(zip(stored.obs_names, range(stored.n_obs), strict=True))
    dataset = scDataset(backed, BlockShuffling(8), 64, 8, seed=2)
    seen = []
    for batch in dataset:
        rows = [position[cell] for cell in batch.obs_names]
        seen += rows
        with anndata.settings.override(remove_unused_categories=False):
            expected = stored[rows].copy()
        assert_same_cells(batch, expected)
    assert sorted(seen) == list(range(stored.n_obs))


@pytest.mark.parametrize("name", FILES[2:6:2])
def test_cells_that_are_drawn_often_come_often(real_data, name):
    path = real_data(name)
    stored, backed = opened(path), opened(path, backed="r")
    weights = np.zeros(stored.n_obs)
    weights[[3, 500, 501]] = 1
    cells = [str(stored.obs_names[row]) for row in (3, 500, 501)]
    for batch in scDataset(backed, BlockWeightedSampling(4, weights=weights, total_size=200), 50, seed=1):
        assert set(batch.obs_names) <= set(cells)
        rows = stored.obs_names.get_indexer(batch.obs_names)
        assert_same_matrix(batch.X, stored.X[rows])


def test_two_files_as_one_collection_equal_the_files(real_data):
    paths = [real_data("cells/heart_human.h5ad"), real_data("old_schema/scirpy_wu2020_200_v0_6.h5ad")]
    parts = [opened(path) for path in paths]
    for number, part in enumerate(parts):
        part.var_names = [f"gene {gene}" for gene in range(part.n_vars)]
        part.obs = part.obs[[]].assign(file=number)
        part.obsm.clear()
    collection = AnnCollection(parts, join_vars="inner", index_unique="-")
    shared = min(part.n_vars for part in parts)
    expected = np.vstack([dense(part.X[:, :shared]) for part in parts])
    dataset = scDataset(collection, BlockShuffling(16), 128, 4, seed=3, fetch_transform=adata_to_mindex)
    seen = np.vstack([batch["X"] for batch in dataset])
    order = scDataset(range(len(collection)), BlockShuffling(16), 128, 4, seed=3)
    assert np.array_equal(seen, expected[np.concatenate(list(order))])


def test_every_row_of_a_zarr_array_of_an_old_release_comes_once(real_data):
    store = zarr.storage.LocalStore(real_data("zarr/scanpy_10x-10k-subset.zarr"), read_only=True)
    array = zarr.open_group(store, mode="r")["X"]
    stored = array[:]
    rows = np.concatenate(list(scDataset(range(len(stored)), BlockShuffling(32), 500, 4, seed=0)))
    batches = np.concatenate(list(scDataset(array, BlockShuffling(32), 500, 4, seed=0)))
    assert batches.dtype == stored.dtype
    assert np.array_equal(batches, stored[rows])
