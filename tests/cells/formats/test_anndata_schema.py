"""What h5ad files and zarr stores have in common: names of layers, kinds of indices and of arrays in obsm."""

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.written import once

from scdataset import open_collection
from scdataset.cells.columns import Column
from scdataset.errors import ArgumentValueError, CollectionError

pytestmark = pytest.mark.filterwarnings("ignore")


def cells(prefix="gene"):
    """Return cells whose obs and var have categories as their index."""
    made = anndata.AnnData(np.eye(5, 4, dtype="f4"))
    made.raw = anndata.AnnData(np.full((5, 2), 7, "f4"))
    made.obs["type"] = pd.Categorical(list("abcab"))
    made.obs.index = pd.CategoricalIndex([f"cell{i}" for i in range(5)])
    made.var.index = pd.CategoricalIndex([f"{prefix}{i}" for i in range(4)])
    made.obsm["sparse"] = scipy.sparse.csr_matrix(np.eye(5, 3))
    made.obsm["columns"] = scipy.sparse.csc_matrix(np.eye(5, 3))
    made.obsm["frame"] = pd.DataFrame({"a": range(5)}, index=made.obs_names)
    made.obsm["cube"] = np.zeros((5, 2, 2))
    return made


def write(made, path):
    with anndata.settings.override(zarr_write_format=3):
        made.write_h5ad(path) if path.suffix == ".h5ad" else made.write_zarr(path)
    return path


@once
def stored(path):
    return write(cells(), path)


@pytest.fixture(params=[".h5ad", ".zarr"])
def path(request, tmp_path):
    return tmp_path / f"a{request.param}"


def test_a_layer_called_raw_is_the_layer(path):
    made = cells()
    assert np.all(open_collection(write(made, path), layer="raw")[:]["X"] == 7)
    made.layers["raw"] = made.X * 2
    write(made, path)
    collection = open_collection(path, layer="raw")
    np.testing.assert_array_equal(collection[:]["X"], made.X * 2)
    assert collection.n_vars == 4
    other = open_collection(path, layer="raw/X")
    assert np.all(other[:]["X"] == 7)
    assert other.var_names.tolist() == made.raw.var_names.tolist()


def test_indices_of_categories_are_names(path):
    collection = open_collection(stored(path), obs=["type"], unique_names=True)
    assert collection.obs.index.tolist() == [f"cell{i}" for i in range(5)]
    assert collection.var_names.tolist() == [f"gene{i}" for i in range(4)]
    assert open_collection(path, genes=["gene3"])[:]["X"].shape == (5, 1)


@pytest.mark.parametrize("name", ["a.h5mu", "a.zarr"])
def test_indices_of_categories_in_modalities_are_names(tmp_path, name):
    made = mudata.MuData({"rna": cells("g"), "protein": cells("p")})
    made.mod["rna"].obs.index = made.obs.index = pd.CategoricalIndex([f"cell{i}" for i in range(5)])
    made.write_zarr(tmp_path / name) if name.endswith("zarr") else made.write_h5mu(tmp_path / name)
    batch = open_collection(tmp_path / name, obs=["rna:type"], obsm=["protein:sparse"])[:]
    np.testing.assert_array_equal(batch["rna"], np.eye(5, 4))
    np.testing.assert_array_equal(batch["protein:sparse"].toarray(), np.eye(5, 3))


def test_sparse_arrays_of_obsm_are_read_as_such(path):
    found = open_collection(stored(path), obsm=["sparse"])[[3, 0, 0]]["sparse"]
    np.testing.assert_array_equal(found.toarray(), np.eye(5, 3)[[3, 0, 0]])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("columns", r"obsm/columns is sparse by columns.*a\.obsm\['columns'\] = a\.obsm\['columns'\]\.tocsr\(\)"),
        ("frame", r"obsm/frame is a data frame.*a\.obsm\['frame'\] = a\.obsm\['frame'\]\.to_numpy\(\)"),
        ("cube", r"obsm/cube has shape \(5, 2, 2\); a matrix has two axes"),
    ],
)
def test_other_arrays_of_obsm_are_refused_with_what_to_do(path, name, said):
    with pytest.raises(CollectionError, match=said):
        open_collection(stored(path), obsm=[name])


@pytest.mark.parametrize("error", [KeyError, TypeError, AttributeError])
def test_a_mistake_of_this_package_is_not_called_damage(path, monkeypatch, error):
    def fail(values):
        raise error("ours")  # noqa: EM101 as Python does

    stored(path)
    monkeypatch.setattr(Column, "from_values", fail)
    with pytest.raises(error, match="ours"):
        open_collection(path, obs=["type"])


def test_what_is_encoded_as_no_column_is_refused_and_not_called_damaged(tmp_path):
    path = stored(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        file["obs/type"].attrs["encoding-type"] = "awkward-array"
    with pytest.raises(CollectionError, match="obs/type is encoded as 'awkward-array', which is not read as a column"):
        open_collection(path, obs=["type"])


@pytest.mark.parametrize("layer", [["raw"], 3, "nope"])
def test_what_is_no_layer_is_refused_with_those_there_are(path, layer):
    with pytest.raises(ArgumentValueError, match=r"has to be one of \[None, 'raw'\]"):
        open_collection(stored(path), layer=layer)
