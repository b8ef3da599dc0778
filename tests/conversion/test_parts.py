"""The parts of an AnnData beside X, obs and var, in a converted store."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.conversion.stores import gene_names, same_matrix

from scdataset import ArgumentValueError, convert

N, GENES = 60, 12


@pytest.fixture(scope="module")
def analysed():
    """Cells as an analysis with scanpy leaves them: all genes in raw, some in X."""
    rng = np.random.default_rng(0)
    x = scipy.sparse.random(N, GENES, 0.4, "csr", dtype=np.float32, random_state=0)
    x.data = np.ceil(x.data * 300)
    obs = pd.DataFrame({"leiden": pd.Categorical(rng.choice(["0", "1"], N))}, index=[f"cell{row}" for row in range(N)])
    whole = anndata.AnnData(x, obs=obs, var=pd.DataFrame({"n": np.arange(GENES)}, index=gene_names(range(GENES))))
    whole.varm["all"] = rng.random((GENES, 2))
    found = whole[:, ::2].copy()
    found.raw = whole
    found.layers["logged"] = found.X.log1p()
    found.uns = {
        "leiden_colors": np.array(["#1f77b4", "#ff7f0e"]),
        "neighbors": {"connectivities_key": "connectivities", "params": {"n_neighbors": 15, "method": "umap"}},
        "log1p": {"base": None},
        "ranks": np.rec.fromarrays([np.array(["a", "b"], object), np.array(["c", "d"], object)], names=["0", "1"]),
    }
    found.varm["PCs"] = rng.random((GENES // 2, 3))
    found.varp["related"] = rng.random((GENES // 2, GENES // 2))
    found.obsm["X_umap"] = np.round(rng.random((N, 2)) * 9)
    found.obsm["proteins"] = pd.DataFrame(rng.random((N, 2)), columns=["CD3", "CD4"], index=found.obs_names)
    found.obsp["connectivities"] = scipy.sparse.random(N, N, 0.1, "csr", random_state=2)
    found.obsp["by columns"] = scipy.sparse.random(N, N, 0.1, "csc", random_state=3)
    return found


@pytest.fixture(scope="module")
def path(analysed, tmp_path_factory):
    path = tmp_path_factory.mktemp("analysed") / "cells.h5ad"
    analysed.copy().write_h5ad(path)
    return path


def places(found):
    return [part.partition(":")[0] for part in found.left_out]


def test_a_store_has_all_that_an_analysis_left(analysed, path, tmp_path):
    found = convert(path, tmp_path / "a.zarr", layers=["logged"], raw=True, verify=True)
    store = anndata.read_zarr(tmp_path / "a.zarr")
    assert store.uns["leiden_colors"].tolist() == ["#1f77b4", "#ff7f0e"]
    assert store.uns["neighbors"]["params"] == {"n_neighbors": 15, "method": "umap"}
    assert store.uns["log1p"] == {"base": None}
    assert store.uns["ranks"]["1"].tolist() == ["c", "d"]
    same_matrix(store.varm["PCs"], analysed.varm["PCs"])
    same_matrix(store.varp["related"], analysed.varp["related"])
    same_matrix(store.obsm["X_umap"], analysed.obsm["X_umap"])
    pd.testing.assert_frame_equal(store.obsm["proteins"], analysed.obsm["proteins"], check_index_type=False)
    same_matrix(store.obsp["connectivities"], analysed.obsp["connectivities"])
    same_matrix(store.raw.X, analysed.raw.X)
    assert store.raw.var_names.tolist() == gene_names(range(GENES))
    assert store.raw.var["n"].tolist() == list(range(GENES))
    same_matrix(store.raw.varm["all"], analysed.raw.varm["all"])
    assert found.left_out == ("obsp/by columns: it is not stored by rows",)
    assert store.uns["conversion"]["left_out"].tolist() == list(found.left_out)


def test_coordinates_keep_their_type(analysed, path, tmp_path):
    convert(path, tmp_path / "a.zarr", dtype="uint32")
    store = anndata.read_zarr(tmp_path / "a.zarr")
    assert store.X.dtype == np.uint32
    assert store.obsm["X_umap"].dtype == analysed.obsm["X_umap"].dtype


def test_parts_that_nobody_asked_for_are_listed(path, tmp_path):
    found = convert(path, tmp_path / "a.zarr", obsm=["X_umap"])
    assert places(found) == ["layers/logged", "raw", "obsp/by columns"]
    assert list(anndata.read_zarr(tmp_path / "a.zarr").obsm) == ["X_umap"]


def test_parts_of_cells_follow_their_order_and_pairs_of_cells_are_left_out(analysed, path, tmp_path):
    found = convert(path, tmp_path / "a.zarr", shuffle=True, indices=np.arange(40), index_unique="-", verify=True)
    assert places(found) == ["layers/logged", "raw", "obsp/by columns", "obsp/connectivities"]
    store = anndata.read_zarr(tmp_path / "a.zarr")
    rows = store.obs["source_row"].to_numpy()
    same_matrix(store.obsm["X_umap"], analysed.obsm["X_umap"][rows])
    assert store.obsm["proteins"]["CD4"].tolist() == analysed.obsm["proteins"]["CD4"].iloc[rows].tolist()
    assert store.obs_names.tolist() == [f"cell{row}-cells" for row in rows]


def test_parts_of_genes_follow_their_choice(analysed, path, tmp_path):
    found = convert(path, tmp_path / "a.zarr", genes=["gene6", "gene0"], raw=True)
    store = anndata.read_zarr(tmp_path / "a.zarr")
    same_matrix(store.varm["PCs"], analysed.varm["PCs"][[3, 0]])
    same_matrix(store.varp["related"], analysed.varp["related"][np.ix_([3, 0], [3, 0])])
    assert store.raw.shape == (N, GENES)
    assert places(found) == ["layers/logged", "obsp/by columns"]


def test_parts_of_raw_are_those_of_itsgene_names(analysed, path, tmp_path):
    convert(path, tmp_path / "a.zarr", layer="raw")
    store = anndata.read_zarr(tmp_path / "a.zarr")
    assert store.shape == (N, GENES)
    same_matrix(store.varm["all"], analysed.raw.varm["all"])
    assert list(store.varm) == ["all"]


def test_of_several_sources_the_parts_that_may_not_agree_are_listed(analysed, path, tmp_path):
    other = analysed.copy()
    other.uns["mine"] = 1
    other.write_h5ad(tmp_path / "other.h5ad")
    both = {"source": [path, tmp_path / "other.h5ad"], "index_unique": "-"}
    found = convert(out=tmp_path / "a.zarr", raw=True, obsm=["X_umap"], **both)
    assert {"uns/mine", "uns/neighbors", "varm/PCs", "raw/varm/all", "obsp/connectivities"} < set(places(found))
    store = anndata.read_zarr(tmp_path / "a.zarr")
    assert list(store.uns) == ["conversion"]
    assert store.raw.shape == (2 * N, GENES)
    same_matrix(store.obsm["X_umap"], np.tile(analysed.obsm["X_umap"], (2, 1)))
    found = convert(out=tmp_path / "b.zarr", **both)
    assert "obsm/X_umap" in places(found)
    assert not anndata.read_zarr(tmp_path / "b.zarr").obsm


def test_a_converted_store_is_converted_again(analysed, path, tmp_path):
    convert(path, tmp_path / "a.zarr", layers=["logged"], raw=True)
    found = convert(tmp_path / "a.zarr", tmp_path / "b.zarr", layers=["logged"], raw=True)
    assert places(found) == ["uns/conversion"]
    store = anndata.read_zarr(tmp_path / "b.zarr")
    assert store.uns["conversion"]["files"].tolist() == [str(tmp_path / "a.zarr")]
    same_matrix(store.raw.X, analysed.raw.X)
    same_matrix(store.obsp["connectivities"], analysed.obsp["connectivities"])


def test_an_array_that_is_not_there_is_refused(path, tmp_path):
    with pytest.raises(ArgumentValueError, match="Did you mean 'X_umap'"):
        convert(path, tmp_path / "a.zarr", obsm=["X_unap"])
    assert not list(tmp_path.iterdir())


def test_a_member_of_uns_that_cannot_be_read_is_left_out(analysed, tmp_path):
    analysed.copy().write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        file["uns/neighbors"].attrs["encoding-type"] = "of the future"
    found = convert(tmp_path / "a.h5ad", tmp_path / "a.zarr")
    [reason] = [part for part in found.left_out if part.startswith("uns/")]
    assert "of the future" in reason
    assert "leiden_colors" in anndata.read_zarr(tmp_path / "a.zarr").uns
