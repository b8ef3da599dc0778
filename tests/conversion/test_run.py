"""Converted stores, through plain anndata and zarr."""

import shutil

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import zarr
from tests.conversion.stores import same_matrix

from scdataset import ArgumentValueError, ExistingFileError, check, convert, open_collection

SMALL = {"chunk_size": 1024, "shard_size": 2048, "progress": False}


def same_obs(got, expected):
    assert list(got.index) == list(expected.index)
    for name in expected:
        one, other = got[name], expected[name]
        assert one.isna().equals(other.isna())
        assert one.astype(str).tolist() == other.astype(str).tolist(), name


def test_plain_anndata_reads_what_was_converted(adata, path, tmp_path):
    found = convert(path, tmp_path / "a.zarr", layers=["logged"], obsm=["X_pca", "sites"], verify=True, **SMALL)
    store = anndata.read_zarr(tmp_path / "a.zarr")
    same_matrix(store.X, adata.X)
    same_matrix(store.layers["logged"], adata.layers["logged"])
    same_matrix(store.obsm["X_pca"], adata.obsm["X_pca"])
    same_matrix(store.obsm["sites"], adata.obsm["sites"])
    same_obs(store.obs, adata.obs)
    pd.testing.assert_frame_equal(store.var.astype(str), adata.var.astype(str))
    assert found.shape == adata.shape
    assert found.dtype == "uint16"
    assert found.n_bytes > 10_000
    assert not (tmp_path / "a.zarr.conversion").exists()
    with open_collection(tmp_path / "a.zarr", obs=["text"], obsm=["X_pca"]) as cells:
        same_matrix(cells[:]["X"], adata.X)


def test_columns_keep_their_types(adata, path, tmp_path):
    convert(path, tmp_path / "a.zarr", **SMALL)
    obs = anndata.read_zarr(tmp_path / "a.zarr").obs
    assert obs["ordered"].cat.ordered
    assert obs["ordered"].cat.categories.tolist() == ["low", "mid", "high"]
    assert obs["text"].cat.categories.tolist() == ["x", "yy"]
    assert not isinstance(obs["all different"].dtype, pd.CategoricalDtype)
    assert obs["flag"].dtype == bool
    assert (obs["count"].dtype, obs["maybe"].dtype) == ("Int64", "boolean")
    assert obs["number"].dtype == np.float32


def test_storage_is_as_said(path, tmp_path):
    convert(path, tmp_path / "a.zarr", layers=["logged"], **SMALL)
    root = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert root["X/data"].dtype == np.uint16
    assert root["X/indices"].dtype == np.int32
    assert root["layers/logged/data"].dtype == np.float32
    for name, codec in {"data": "zstd", "indices": "lz4hc"}.items():
        array = root[f"X/{name}"]
        assert (array.chunks, array.shards) == ((1024,), (2048,))
        [compressor] = array.compressors
        stored = compressor.to_dict()["configuration"]
        assert (stored["cname"], stored["shuffle"]) == (codec, "shuffle")
    assert len(root.attrs["scdataset"]["crc32"]["X/data"]) == root["X/data"].nchunks // 2 + root["X/data"].nchunks % 2


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [
        *((255, "uint8"), (256, "uint16"), (65_536, "uint32")),
        *((value, "float64") for value in (2**33, 0.5, -1, np.nan)),
    ],
)
def test_values_get_the_narrowest_type_that_holds_them_all(tmp_path, largest, dtype):
    x = scipy.sparse.csr_matrix(np.array([[0, 1.0, 0], [largest, 0, 1]]))
    anndata.AnnData(x).write_h5ad(tmp_path / "a.h5ad")
    assert convert(tmp_path / "a.h5ad", tmp_path / "a.zarr").dtype == dtype
    same_matrix(anndata.read_zarr(tmp_path / "a.zarr").X, x)


def test_values_keep_their_type_where_asked(path, tmp_path):
    assert convert(path, tmp_path / "a.zarr", compact=False).dtype == "float32"
    assert convert(path, tmp_path / "b.zarr", dtype="uint32").dtype == "uint32"


def test_values_that_do_not_fit_are_refused(path, tmp_path):
    with pytest.raises(ArgumentValueError, match=r"X has the value 272\.0, which uint8 does not hold"):
        convert(path, tmp_path / "a.zarr", dtype="uint8", **SMALL)
    assert not (tmp_path / "a.zarr").exists()


def test_shuffled_rows_are_traced_by_their_source_row(adata, path, tmp_path):
    shutil.copy(path, tmp_path / "two.h5ad")
    joined = {"label": "file", "keys": ["one", "two"], "index_unique": "-"}
    order = {"shuffle": True, "seed": 3, "block_size": 4}
    convert([path, tmp_path / "two.h5ad"], tmp_path / "a.zarr", verify=True, obsm=["X_pca"], **joined, **order, **SMALL)
    store = anndata.read_zarr(tmp_path / "a.zarr")
    rows = store.obs["source_row"].to_numpy()
    assert sorted(rows) == list(range(2 * adata.n_obs))
    assert np.mean(np.diff(rows) == 1) < 0.1
    twice = anndata.concat([adata, adata], label="file", keys=["one", "two"], index_unique="-")
    same_matrix(store.X, twice.X[rows])
    same_matrix(store.obsm["X_pca"], twice.obsm["X_pca"][rows])
    same_obs(store.obs[["file", "ordered", "count"]], twice.obs[["file", "ordered", "count"]].iloc[rows])
    assert store.uns["conversion"]["files"].tolist() == [str(path), str(tmp_path / "two.h5ad")]
    assert store.uns["conversion"]["n_obs"].tolist() == [adata.n_obs] * 2


def test_seeds_give_different_orders_and_repeat(path, tmp_path):
    rows = []
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        convert(path, tmp_path / f"{name}.zarr", shuffle=True, seed=seed, obs=[], genes=["gene0"])
        rows.append(anndata.read_zarr(tmp_path / f"{name}.zarr").obs["source_row"].to_numpy())
    np.testing.assert_array_equal(rows[0], rows[1])
    assert np.mean(rows[0] == rows[2]) < 0.1


@pytest.mark.parametrize("chosen", [np.arange(599, 0, -7), lambda obs: obs["text"] == "x"])
def test_chosen_cells_and_genes_are_converted(adata, path, tmp_path, chosen):
    genes = ["gene30", "gene2", "gene3"]
    convert(path, tmp_path / "a.zarr", indices=chosen, genes=genes, obs=["number"], verify=True, **SMALL)
    expected = adata[np.flatnonzero(chosen(adata.obs)) if callable(chosen) else chosen, genes]
    store = anndata.read_zarr(tmp_path / "a.zarr")
    same_matrix(store.X, expected.X)
    same_obs(store.obs, expected.obs[["number"]])
    assert store.var_names.tolist() == genes


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_files_are_joined_as_anndata_joins_them(adata, path, tmp_path, join):
    other = adata[:100, ::-2].copy()
    other.obs_names = [f"other{row}" for row in range(100)]
    other.write_h5ad(tmp_path / "other.h5ad")
    convert([path, tmp_path / "other.h5ad"], tmp_path / "a.zarr", join=join, obs=["text"], verify=True, **SMALL)
    expected = anndata.concat([adata, other], join=join)
    store = anndata.read_zarr(tmp_path / "a.zarr")
    assert store.var_names.tolist() == expected.var_names.tolist()
    same_matrix(store.X, expected.X)
    same_obs(store.obs, expected.obs[["text"]])


def test_dense_matrices_stay_dense(tmp_path):
    counts = np.random.default_rng(0).integers(0, 9, (500, 30)).astype(np.float32)
    anndata.AnnData(counts).write_h5ad(tmp_path / "a.h5ad")
    assert convert(tmp_path / "a.h5ad", tmp_path / "a.zarr", verify=True, **SMALL).dtype == "uint8"
    store = anndata.read_zarr(tmp_path / "a.zarr")
    assert isinstance(store.X, np.ndarray)
    same_matrix(store.X, counts)
    with open_collection(tmp_path / "a.zarr") as cells:
        same_matrix(cells[::3]["X"], counts[::3])


def test_cells_without_any_value_are_converted(tmp_path):
    anndata.AnnData(scipy.sparse.csr_matrix((5, 3), dtype=np.float32)).write_h5ad(tmp_path / "a.h5ad")
    convert(tmp_path / "a.h5ad", tmp_path / "a.zarr", verify=True)
    assert anndata.read_zarr(tmp_path / "a.zarr").X.nnz == 0
    with open_collection(tmp_path / "a.zarr") as cells:
        assert cells[:]["X"].nnz == 0


@pytest.mark.parametrize("of", [np.zeros, scipy.sparse.csr_matrix])
def test_cells_without_genes_are_converted(tmp_path, of):
    cells = anndata.AnnData(of((5, 0), dtype="f4"), obsm={"none": np.zeros((5, 0)), "X_pca": np.ones((5, 2))})
    cells.write_h5ad(tmp_path / "a.h5ad")
    convert(tmp_path / "a.h5ad", tmp_path / "a.zarr", verify=True)
    store = anndata.read_zarr(tmp_path / "a.zarr")
    assert store.shape == (5, 0)
    assert {name: one.shape for name, one in store.obsm.items()} == {"none": (5, 0), "X_pca": (5, 2)}
    assert check(tmp_path / "a.zarr").ok


def test_columns_come_in_ascending_order(tmp_path):
    x = scipy.sparse.csr_matrix((np.array([1.0, 2, 3]), np.array([2, 0, 1]), np.array([0, 2, 3])), shape=(2, 3))
    anndata.AnnData(x).write_h5ad(tmp_path / "a.h5ad")
    convert(tmp_path / "a.h5ad", tmp_path / "a.zarr", verify=True)
    stored = anndata.read_zarr(tmp_path / "a.zarr").X
    assert stored.indices.tolist() == [0, 2, 1]
    assert stored.data.tolist() == [2, 1, 3]


def test_an_output_that_is_there_is_not_written_over(path, tmp_path):
    convert(path, tmp_path / "a.zarr")
    with pytest.raises(ExistingFileError, match="nothing is written over"):
        convert(path, tmp_path / "a.zarr")
    (tmp_path / "file.zarr").touch()
    with pytest.raises(FileExistsError):
        convert(path, tmp_path / "file.zarr")
    (tmp_path / "b.zarr.conversion").mkdir()
    (tmp_path / "b.zarr.conversion/mine.txt").touch()
    with pytest.raises(ExistingFileError, match="is in the way"):
        convert(path, tmp_path / "b.zarr")
