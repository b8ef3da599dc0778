"""What a batch of AnnData and of AnnCollection is."""

import pickle

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata.experimental import AnnCollection
from tests.collections.files import cells
from tests.collections.reference import IDS, LABELS, N_ROWS, TYPES, X
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, BlockWeightedSampling, CollectionError, Streaming, as_collection, scDataset

BATCHES = ["AnnData CSR", "AnnData dense backed", "AnnCollection CSR", "AnnCollection dense backed"]


@pytest.fixture(params=BATCHES[:2])
def adata(request, built):
    return built(request.param).data


@pytest.fixture(params=BATCHES[2:])
def collected(request, built):
    return built(request.param).data


@pytest.mark.filterwarnings("ignore::anndata.ImplicitModificationWarning")
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_batch_of_anndata_can_be_changed(adata, num_workers):
    for batch in DataLoader(scDataset(adata, BlockShuffling(2), 5, seed=0), batch_size=None, num_workers=num_workers):
        assert type(batch) is anndata.AnnData
        assert not batch.isbacked
        assert not (batch.is_view and num_workers)  # which would take its whole window to this process
        batch.obs["new"] = 1
        batch.X = batch.X * 2
        batch.layers["counts"] = batch.X
    assert list(adata.obs) == ["id", "type"]
    assert np.array_equal(sp.csr_matrix(adata.X[:]).toarray(), X)


def test_every_batch_has_all_categories_and_what_belongs_to_genes(adata):
    for batch in scDataset(adata, Streaming(), 2):
        assert batch.obs["type"].cat.categories.tolist() == sorted(set(TYPES))
        assert batch.uns["species"] == "human"
        assert batch.var_names.equals(adata.var_names)


@pytest.mark.filterwarnings("ignore::anndata.ImplicitModificationWarning")
@pytest.mark.parametrize("hooks", [{}, {"batch_transform": lambda batch: batch}])
def test_a_change_to_one_batch_is_in_no_other(adata, hooks):
    for batch in scDataset(adata, BlockShuffling(2), 5, seed=0, **hooks):
        rows = batch.obs["id"].to_numpy()
        of_rows = adata[np.sort(rows)].to_memory()[np.argsort(np.argsort(rows))].copy()
        assert repr(batch) == repr(of_rows)
        assert batch.var.equals(of_rows.var)
        assert batch.obs.astype(str).equals(of_rows.obs.astype(str))  # which has fewer categories
        batch.var["new"] = 1
        batch.var_names = [f"changed {name}" for name in batch.var_names]
        batch.varm["new"] = np.ones((batch.n_vars, 1))
        batch.obsm["new"] = np.ones((batch.n_obs, 1))
        batch.obs["new"] = batch.uns["new"] = 1
        batch.layers["new"] = batch.X


def test_names_of_genes_are_not_checked_in_every_batch(adata, monkeypatch):
    dataset = scDataset(adata, BlockShuffling(2), 5, seed=0)
    checked = []
    monkeypatch.setattr(anndata.AnnData, "_check_uniqueness", lambda self: checked.append(self.shape))
    batches = list(dataset)
    assert checked == []
    assert all(batch.var_names.equals(adata.var_names) for batch in batches)


def test_raw_comes_along(tmp_path):
    adata = cells(sp.csr_matrix)
    adata.raw = adata.copy()
    adata = adata[:, :2].copy()
    adata.write_h5ad(tmp_path / "raw.h5ad")
    for source in (adata, anndata.read_h5ad(tmp_path / "raw.h5ad", backed="r")):
        for batch in scDataset(source, BlockWeightedSampling(2, total_size=50), 10, seed=0):
            assert np.array_equal(batch.raw.X.toarray(), X[batch.obs["id"]])
            assert np.array_equal(batch.X.toarray(), X[batch.obs["id"], :2])


def test_cells_of_a_collection_have_all_that_a_view_of_it_has(collected):
    rows = np.array([30, 2, 2, 11, 12])
    batch, view = as_collection(collected).read(rows), collected[rows]
    assert len(batch) == 5
    assert batch.shape == view.shape
    assert batch.obs_names.equals(view.obs_names)
    assert batch.obs["id"].tolist() == rows.tolist()
    assert batch.obs.df.equals(view.obs.df)
    assert {kind: set(names) for kind, names in batch.attrs_keys.items()} == {
        kind: set(names) for kind, names in view.attrs_keys.items()
    }
    assert np.array_equal(sp.csr_matrix(batch.X).toarray(), X[rows])
    assert np.array_equal(sp.csr_matrix(batch.layers["counts"]).toarray(), X[rows] * 2)
    assert np.array_equal(batch.obsm["pca"], X[rows, 1:3])
    assert np.array_equal(sp.csr_matrix(batch[1:, ["3", "0"]].X).toarray(), X[rows[1:]][:, [3, 0]])
    assert repr(batch).startswith("AnnCollectionView object with n_obs")


def test_cells_that_are_there_twice_become_anndata_without_a_warning(collected):
    for batch in scDataset(collected, BlockWeightedSampling(2, total_size=90), 30, seed=0):
        rows = batch.to_adata().obs["id"].to_numpy()
        assert len(set(rows)) < 30
        assert batch.to_adata().obs_names.tolist() == LABELS[rows].tolist()
        assert batch.to_adata(ignore_X=True).X is None


def test_a_batch_of_a_collection_is_pickled_without_the_rest_of_its_fetch():
    wide = anndata.AnnData(np.random.default_rng(0).random((64, 4000), np.float32))
    window = as_collection(AnnCollection([wide])).read(np.arange(64))
    pickled = pickle.dumps(window[:4])
    assert len(pickled) < len(pickle.dumps(window)) / 4
    assert np.array_equal(pickle.loads(pickled).X, wide.X[:4])


@pytest.mark.parametrize("join_obs", ["inner", "outer", None])
def test_columns_of_any_join_come_along(join_obs):
    parts = [cells(sp.csr_matrix, slice(0, 11)), cells(sp.csr_matrix, slice(11, N_ROWS))]
    for number, part in enumerate(parts):
        part.obs[f"only in {number}"] = 1.0
        part.X = part.X.astype([np.float32, np.float64][number])
    data = AnnCollection(parts, join_obs=join_obs, label="file", index_unique="-")
    for batch in scDataset(data, BlockShuffling(2), 5, seed=0):
        found = batch.to_adata()
        assert found.X.dtype == np.float64
        assert found.obs_names.tolist() == [f"cell {row}-{int(row > 10)}" for row in found.obs["id"]]
        assert ("only in 1" in found.obs) == (join_obs == "outer")
        if join_obs:
            assert found.obs["file"].astype(int).tolist() == [int(row > 10) for row in found.obs["id"]]


def test_files_without_columns_of_obs_are_collected():
    bare = anndata.AnnData(X, obs=pd.DataFrame(index=LABELS))
    for batch in scDataset(AnnCollection([bare[:7].copy(), bare[7:].copy()]), BlockShuffling(2), 5, seed=0):
        assert batch.to_adata().obs_names.equals(batch.obs_names)
        assert np.array_equal(batch.X[:, 0] * 3, bare.obs_names.get_indexer(batch.obs_names))


def test_converters_of_a_collection_are_applied():
    convert = {"X": lambda matrix: matrix.toarray() + 1, "obs": {"id": lambda ids: -np.asarray(ids)}}
    data = AnnCollection([cells(sp.csr_matrix)], convert=convert)
    for batch in scDataset(data, BlockShuffling(2), 5, seed=0):
        rows = -batch.obs["id"]
        assert np.array_equal(batch.X, X[rows] + 1)
        assert np.array_equal(batch.to_adata().X.toarray(), X[rows])


def test_a_whole_anndata_in_memory_and_a_part_of_it_are_collections():
    adata = cells(sp.csr_matrix)
    part = adata[5:20][::3]
    assert np.concatenate([batch.obs["id"] for batch in scDataset(part, Streaming(), 2)]).tolist() == [5, 8, 11, 14, 17]
    bare = anndata.AnnData(obs=pd.DataFrame({"id": IDS}, index=LABELS))
    batch = next(iter(scDataset(bare, Streaming(), 3)))
    assert batch.X is None
    assert batch.obs["id"].tolist() == [0, 1, 2]


STORED_SPARSE = ["AnnData CSR backed", "AnnCollection CSR backed", "AnnData list backed", "CSR on disk"]


@pytest.mark.parametrize("name", [*STORED_SPARSE, "AnnCollection genes joined"])
def test_sparse_arrays_are_read_where_anndata_is_set_to(built, name):
    def batch_of(dataset):
        batch = next(iter(dataset))
        return getattr(batch, "X", batch)

    dataset = scDataset(built(name).data, Streaming(), 5)
    with anndata.settings.override(use_sparse_array_on_read=True):
        assert type(batch_of(dataset)) is sp.csr_array
        pickled = pickle.dumps(dataset)
    assert type(batch_of(dataset)) is sp.csr_matrix
    assert type(batch_of(pickle.loads(pickled))) is sp.csr_array  # as where it was pickled
    assert np.array_equal(batch_of(dataset).toarray(), X[:5])


def test_what_anndata_itself_reads_follows_the_setting_too(tmp_path):
    adata = cells(sp.csr_matrix)
    adata.raw = adata.copy()
    adata.write_h5ad(tmp_path / "raw.h5ad")
    dataset = scDataset(anndata.read_h5ad(tmp_path / "raw.h5ad", backed="r"), Streaming(), 5)
    with anndata.settings.override(use_sparse_array_on_read=True):
        pickled = pickle.dumps(dataset)
    batch = next(iter(pickle.loads(pickled)))
    assert type(batch.X) is sp.csr_array
    assert type(batch.raw.X) is sp.csr_array


@pytest.fixture(params=["h5ad", "zarr"])
def lazy(request, tmp_path):
    pytest.importorskip("dask")
    pytest.importorskip("xarray")
    path = tmp_path / f"a.{request.param}"
    with anndata.settings.override(auto_shard_zarr_v3=False):
        getattr(cells(sp.csr_matrix), f"write_{request.param}")(path)
    return anndata.experimental.read_lazy(path)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_of_lazy_anndata_are_in_memory(lazy, num_workers):
    dataset = scDataset(lazy, BlockShuffling(2), 5, seed=0)
    next(iter(dataset))  # which starts the threads of dask
    seen = []
    for batch in DataLoader(dataset, batch_size=None, num_workers=num_workers):
        assert type(batch.obs) is pd.DataFrame
        assert batch.obs["type"].cat.categories.tolist() == sorted(set(TYPES))
        assert np.array_equal(batch.X.toarray(), X[batch.obs["id"]])
        assert np.array_equal(batch.layers["counts"].toarray(), 2 * X[batch.obs["id"]])
        seen.extend(batch.obs["id"])
    assert sorted(seen) == IDS.tolist()


def test_several_lazy_anndata_are_refused(lazy):
    with pytest.raises(CollectionError, match=r"some are lazy.*anndata\.concat\(adatas\)"):
        as_collection([lazy, lazy])


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_matrix_whose_file_the_user_closes_is_an_error_that_says_so(tmp_path, is_begun):
    anndata.AnnData(sp.csr_matrix(np.eye(20, 3, dtype="f4"))).write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    iterator = iter(scDataset(backed.X, Streaming(), 4, fetch_factor=1))
    if is_begun:
        next(iterator)
    backed.file.close()
    with pytest.raises(CollectionError, match="was closed; open the file again"):
        next(iterator)
