"""MuData: modalities equal to what mudata reads, aligned by cell, with cells that lack one refused or masked."""

import pickle
import shutil
import warnings
import zipfile

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.examples import rare

from scdataset import BlockShuffling, ModalityCollection, open_collection, scDataset
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, DamagedFileError

VERSIONS = ["0.3.10", *rare("0.1.2", "0.2.4")]  # those written here are all alike


def dense(matrix):
    return matrix.toarray() if scipy.sparse.issparse(matrix) else np.asarray(matrix)


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.read_zarr(path) if str(path).endswith(".zarr") else mudata.read_h5mu(path)


def part(name, cells, n_vars, kind):
    rng = np.random.default_rng(n_vars)
    counts = rng.poisson(0.5, (len(cells), n_vars)).astype("f4")
    obs = pd.DataFrame(
        {"type": pd.Categorical(rng.choice(["T", "B"], len(cells))), "depth": rng.integers(0, 99, len(cells))},
        index=cells,
    )
    var = pd.DataFrame(index=[f"{name}{i}" for i in range(n_vars)])
    X = scipy.sparse.csr_matrix(counts) if kind == "csr" else counts  # noqa: N806
    one = anndata.AnnData(X, obs=obs, var=var, obsm={"X_pca": rng.normal(size=(len(cells), 3))})
    one.layers["counts"] = one.X * 2
    return one


def write(path, seed=0, *, complete=False):
    """Write two modalities of which cells are in another order, and some in one alone."""
    rng = np.random.default_rng(seed)
    cells = np.array([f"cell{seed}-{i}" for i in range(60)])
    rna, protein = (rng.permutation(cells), rng.permutation(cells))
    if not complete:
        rna, protein = rna[:45], protein[:50]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = mudata.MuData({"rna": part("g", rna, 30, "csr"), "protein": part("p", protein, 7, "dense")})
        data.obs["donor"] = pd.Categorical(rng.choice(["d1", "d2", "d3"], data.n_obs))
        data.write_zarr(path) if str(path).endswith(".zarr") else data.write_h5mu(path)
    return str(path)


@pytest.fixture(params=[".h5mu", ".zarr"])
def path(request, tmp_path):
    return write(tmp_path / f"a{request.param}")


def expected_of(data, rows, name, layer=None):
    """Return the rows of a modality as mudata aligns them, zeros where it lacks a cell, and which it does not."""
    place = data[name].obs_names.get_indexer(data.obs_names[rows])
    values = dense(data[name].X if layer is None else data[name].layers[layer])
    return np.where(place[:, None] >= 0, values[place], 0), place


@pytest.mark.parametrize("version", VERSIONS)
def test_real_files_are_read_as_mudata_reads_them(real_data, version):
    path = real_data(f"h5mu/mudata_v{version}_mdata_axis0.h5mu")
    data = read(path)
    collection = open_collection(path, obs=["arange"])
    assert list(collection.modalities) == list(data.mod) == ["mod2", "mod1"]
    rows = np.random.default_rng(0).integers(0, 100, 250)
    batch = collection.read(rows)
    for modality in data.mod:
        np.testing.assert_array_equal(dense(batch[modality]), expected_of(data, rows, modality)[0])
        assert collection.modalities[modality].var_names.tolist() == data[modality].var_names.tolist()
    assert np.array_equal(batch["arange"], data.obs["arange"].to_numpy()[rows])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_real_zarr_store_is_read_as_the_h5mu_file(real_data, tmp_path, version):
    with zipfile.ZipFile(real_data(f"zarr/mudata_v{version}_mdata_axis0.zarr.zip")) as archive:
        archive.extractall(tmp_path / version)
    [store] = {meta.parent for meta in (tmp_path / version).rglob("mod/.zgroup")}
    collection = open_collection(store.parent, obs=["arange"])
    other = open_collection(real_data(f"h5mu/mudata_v{version}_mdata_axis0.h5mu"), obs=["arange"])
    batch, same = collection.read(np.arange(100)), other.read(np.arange(100))
    assert collection.modalities.keys() == other.modalities.keys()
    for name, values in same.items():
        np.testing.assert_array_equal(dense(batch[name]), dense(values))


@pytest.mark.parametrize("real_data", ["real"], indirect=True)  # cells written here lack some in the tests below
def test_real_cells_that_lack_a_modality(real_data, tmp_path):
    path = shutil.copy(real_data("h5mu/scirpy_wu2020_200.h5mu"), tmp_path / "wu.h5mu")
    with h5py.File(path, "a") as file:
        del file["mod/airr/obsm/airr"]  # which mudata reads with another package
    with pytest.raises(ArgumentValueError, match=r"Of 200 cells some lack .*: {'gex': 50, 'airr': 50}; 100 lack none"):
        open_collection(path)
    data = read(path)
    collection = open_collection(path, missing_modality="mask", obs=["gex:cluster_orig"])
    rows = np.random.default_rng(0).permutation(200)
    batch = collection.read(rows)
    expected, place = expected_of(data, rows, "gex")
    assert np.array_equal(batch["gex"].toarray(), expected)
    assert np.array_equal(batch["gex:mask"], place >= 0)
    assert batch["airr"].shape == (200, 0)
    assert collection.present.sum().tolist() == [150, 150]
    labels = data["gex"].obs["cluster_orig"].astype(object).to_numpy()
    codes = batch["gex:cluster_orig"]
    assert (codes >= 0).sum() == 150
    assert np.array_equal(collection.categories["gex:cluster_orig"][codes[place >= 0]], labels[place[place >= 0]])
    alone = open_collection(path, modality="gex", obs=["cluster_orig"])
    assert np.array_equal(alone.read(np.arange(150))["X"].toarray(), dense(data["gex"].X))


def test_rows_are_aligned_by_cell_and_masked(path):
    data = read(path)
    collection = open_collection(
        path, missing_modality="mask", obs=["donor", "rna:type", "rna:depth"], obsm=["protein:X_pca"], num_threads=2
    )
    rows = np.random.default_rng(1).integers(0, len(collection), 200)
    batch = collection.read(rows)
    for name in ("rna", "protein"):
        expected, place = expected_of(data, rows, name)
        np.testing.assert_array_equal(dense(batch[name]), expected)
        assert np.array_equal(batch[f"{name}:mask"], place >= 0)
    pca = np.where(place[:, None] >= 0, data["protein"].obsm["X_pca"][place], 0)
    np.testing.assert_array_equal(batch["protein:X_pca"], pca)
    labels = collection.categories["donor"][batch["donor"]]
    assert np.array_equal(labels, data.obs["donor"].astype(object).to_numpy()[rows])
    place = expected_of(data, rows, "rna")[1]
    depth = np.where(place >= 0, data["rna"].obs["depth"].to_numpy()[place], np.nan)
    np.testing.assert_array_equal(batch["rna:depth"], depth)
    codes = data["rna"].obs["type"].cat.codes.to_numpy()
    assert np.array_equal(batch["rna:type"], np.where(place >= 0, codes[place], -1))
    assert collection.obs.columns.tolist() == ["donor", "rna:type", "rna:depth"]
    assert repr(collection).startswith(f"ModalityCollection({len(data)} cells x {{rna: 30, protein: 7}}, 1 file, obs=")


def test_one_modality_is_a_collection_of_its_own_cells(path):
    data = read(path)
    collection = open_collection(path, modality="rna", layer="counts", obs=["type"], obsm=["X_pca"])
    batch = collection[::-1]
    np.testing.assert_array_equal(dense(batch["X"]), dense(data["rna"].layers["counts"])[::-1])
    np.testing.assert_array_equal(batch["X_pca"], data["rna"].obsm["X_pca"][::-1])
    assert collection.var_names.tolist() == data["rna"].var_names.tolist()


def test_a_layer_of_each_and_some_of_the_modalities(path):
    data = read(path)
    collection = open_collection(path, missing_modality="mask", layer={"rna": "counts"})
    rows = np.arange(len(data))
    batch = collection[:]
    np.testing.assert_array_equal(dense(batch["rna"]), expected_of(data, rows, "rna", "counts")[0])
    np.testing.assert_array_equal(dense(batch["protein"]), expected_of(data, rows, "protein")[0])
    some = open_collection(path, modality=["protein"], missing_modality="mask")
    assert list(some.modalities) == ["protein"]


def test_several_files_act_as_one(tmp_path):
    paths = [write(tmp_path / f"{seed}.h5mu", seed, complete=True) for seed in range(3)]
    collection = open_collection(tmp_path, obs=["donor"])
    assert collection.files == paths
    data = [read(path) for path in paths]
    rows = np.random.default_rng(0).permutation(180)
    batch = pickle.loads(pickle.dumps(collection)).read(rows)
    for name in ("rna", "protein"):
        every = np.concatenate([expected_of(one, np.arange(60), name)[0] for one in data])
        np.testing.assert_array_equal(dense(batch[name]), every[rows])


def test_it_is_read_in_batches(tmp_path):
    collection = open_collection(write(tmp_path / "a.h5mu", complete=True), obs=["donor"])
    dataset = scDataset(collection, BlockShuffling(4), batch_size=16, fetch_factor=2, seed=0)
    rows = np.concatenate(list(scDataset(range(60), BlockShuffling(4), 16, 2, seed=0)))
    batches = list(dataset)
    for name in ("rna", "protein"):
        np.testing.assert_array_equal(np.concatenate([dense(b[name]) for b in batches]), dense(collection[rows][name]))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"modality": "atac"}, ArgumentValueError, r"no modality 'atac'; it has \['rna', 'protein'\]"),
        ({"modality": ["rna", "atac"]}, ArgumentValueError, "atac"),
        ({"modality": "rna", "missing_modality": "mask"}, ArgumentValueError, "missing_modality='mask'; give None"),
        ({"missing_modality": "drop"}, ArgumentValueError, "'drop'"),
        (
            {"obs": ["type"]},
            ArgumentValueError,
            r"no column 'type'; it has \['donor', 'rna:type'.* Did you mean 'rna:type'",
        ),
        ({"obs": ["rna:kind"]}, ArgumentValueError, "no column 'kind'"),
        ({"obsm": ["X_pca"]}, ArgumentValueError, "give arrays of modalities"),
        ({"modality": "rna", "layer": {"rna": "counts"}}, ArgumentTypeError, "is a dict"),
        ({"layer": "spliced"}, ArgumentValueError, "no mod/rna/layers/spliced"),
    ],
)
def test_bad_options_are_refused(tmp_path, options, error, said):
    with pytest.raises(error, match=said):
        open_collection(write(tmp_path / "a.h5mu", complete=True), **options)


def test_modalities_that_share_genes_are_opened_alone(real_data):
    path = real_data("h5mu/mudata_v0.3.10_mdata_axis1.h5mu")
    with pytest.raises(CollectionError, match="axis=1"):
        open_collection(path)
    data = read(path)
    assert np.array_equal(open_collection(path, modality="mod1").read(np.arange(100))["X"], data["mod1"].X)


@pytest.mark.parametrize("harm", ["twice", "outside", "short", "none"])
def test_rows_that_contradict_each_other_are_refused(tmp_path, harm):
    path = write(tmp_path / "a.h5mu")
    with h5py.File(path, "a") as file:
        rows = file["obsmap/rna"][:]
        first, second = np.flatnonzero(rows)[:2]
        rows[first] = {"twice": rows[second], "outside": 99}.get(harm, rows[first])
        del file["obsmap/rna"]
        if harm != "none":
            file["obsmap/rna"] = rows[:-1] if harm == "short" else rows
    with pytest.raises(DamagedFileError, match=r"a\.h5mu.* obsmap/rna"):
        open_collection(path, missing_modality="mask")


def test_a_file_that_is_cut_is_refused(tmp_path):
    path = write(tmp_path / "a.h5mu", complete=True)
    collection = open_collection(path)
    shutil.copy(path, tmp_path / "b.h5mu")
    with (tmp_path / "a.h5mu").open("r+b") as file:
        file.truncate(4000)
    with pytest.raises(DamagedFileError, match=r"a\.h5mu"):
        collection.read(np.arange(60))
    assert isinstance(open_collection(tmp_path / "b.h5mu"), ModalityCollection)
