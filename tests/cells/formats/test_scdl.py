"""SCDL folders: equal to what BioNeMo's own class reads of what it wrote."""

import importlib
import json
import os
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset import open_collection
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError


def cells(n_obs=60, n_vars=40, seed=0):
    rng = np.random.default_rng(seed)
    counts = scipy.sparse.csr_matrix(rng.poisson(0.4, (n_obs, n_vars)).astype("f4"))
    obs = pd.DataFrame({"type": rng.choice(["T", "B"], n_obs), "depth": rng.integers(0, 99, n_obs)})
    var = pd.DataFrame({"symbol": [f"gene{i}" for i in range(n_vars)]})
    return anndata.AnnData(counts, obs=obs.set_axis(obs.index.astype(str)), var=var.set_axis(var.index.astype(str)))


@pytest.fixture(scope="module")
def bionemo():
    """Return BioNeMo's class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = importlib.import_module("bionemo.scdl.io.single_cell_memmap_dataset")
        except ImportError:
            pytest.skip("bionemo-scdl is not here")
    return module.SingleCellMemMapDataset


@pytest.fixture
def write(bionemo, tmp_path):
    """Return a function that writes cells as an SCDL folder, and returns it and BioNeMo's dataset."""

    def written(adata, name="a", **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adata.write_h5ad(tmp_path / f"{name}.h5ad")
            path = str(tmp_path / name)
            return tmp_path / name, bionemo(path, h5ad_path=f"{path}.h5ad", use_X_not_raw=True, **options)

    return written


def rows_of(dataset, n_vars):
    """Read every row through BioNeMo."""
    dense = np.zeros((len(dataset), n_vars))
    for row in range(len(dataset)):
        values, columns = dataset[row].numpy()
        dense[row, columns.astype(int)] = values
    return dense


@pytest.mark.parametrize(
    ("dtype", "n_vars", "paginated"),
    [("float32", 70_000, False), ("float64", 40, True), ("uint8", 300, True), ("uint32", 40, False)],
)
def test_rows_are_what_bionemo_reads(write, dtype, n_vars, paginated):
    adata = cells(n_vars=n_vars)
    options = {"paginated_load_cutoff": 0, "load_block_row_size": 7} if paginated else {}
    folder, dataset = write(adata, data_dtype=dtype, **options)
    collection = open_collection(folder, obs=["type", "depth"])
    assert collection.shape == (60, n_vars)
    rows = np.random.default_rng(0).integers(0, 60, 100)
    batch = collection.read(rows)
    assert batch["X"].dtype == dtype
    assert np.array_equal(batch["X"].toarray(), rows_of(dataset, n_vars)[rows])
    assert np.array_equal(batch["X"].toarray(), adata.X.toarray()[rows])
    assert np.array_equal(batch["depth"], adata.obs["depth"].to_numpy()[rows])
    assert np.array_equal(collection.categories["type"][batch["type"]], adata.obs["type"].to_numpy()[rows])
    assert collection.var["symbol"].tolist() == adata.var["symbol"].tolist()


def test_data_sets_that_bionemo_joined_are_one(write):
    one, two = cells(), cells(30, seed=1)
    folder, dataset = write(one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.concat(write(two, "b")[1])
    collection = open_collection(folder, obs=["depth"])
    batch = collection.read(np.arange(90))
    assert np.array_equal(batch["X"].toarray(), scipy.sparse.vstack([one.X, two.X]).toarray())
    assert np.array_equal(batch["depth"], np.concatenate([one.obs["depth"], two.obs["depth"]]))


def test_a_folder_of_folders_is_one_collection(write, tmp_path):
    (tmp_path / "all").mkdir()
    for name, seed in (("all/b", 0), ("all/a", 1)):
        write(cells(seed=seed), name)
    for file in (tmp_path / "all").glob("*.h5ad"):
        file.unlink()
    collection = open_collection(tmp_path / "all")
    expected = scipy.sparse.vstack([cells(seed=1).X, cells(seed=0).X])
    assert (collection.read(np.arange(120))["X"] != expected).nnz == 0


def test_other_genes_are_refused(write):
    folder, dataset = write(cells())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.concat(write(cells(n_vars=20), "b")[1])
    with pytest.raises(CollectionError, match="2 lists of genes"):
        open_collection(folder)


def test_half_floats_are_single_floats(write):
    adata = cells()
    found = open_collection(write(adata, data_dtype="float16")[0]).read(np.arange(60))["X"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), adata.X.toarray().astype(np.float16))


def test_what_is_not_there_is_refused(write):
    folder, _ = write(cells())
    with pytest.raises(ArgumentValueError, match=r"no column 'x'; it has \['type', 'depth'\]"):
        open_collection(folder, obs=["x"])
    with pytest.raises(ArgumentValueError, match="obsm"):
        open_collection(folder, obsm=["X_pca"])
    with pytest.raises(ArgumentValueError, match="is SCDL, for which layer='raw' has to be left out"):
        open_collection(folder, layer="raw")


@pytest.mark.parametrize("name", ["data.npy", "col_ptr.npy", "row_ptr.npy", "header.sch"])
def test_files_that_are_cut_are_refused_by_name(write, name):
    folder, _ = write(cells())
    stored = (folder / name).read_bytes()
    (folder / name).write_bytes(stored[:11] if name == "header.sch" else stored[:-9])
    with pytest.raises(DamagedFileError, match=f"{folder}.*({name[:6]}|row_ptr)"):
        open_collection(folder)


def test_genes_outside_the_table_are_refused(write):
    folder, _ = write(cells(n_vars=300))
    columns = np.fromfile(folder / "col_ptr.npy", np.uint16)
    columns[5] = 300
    columns.tofile(folder / "col_ptr.npy")
    with pytest.raises(DamagedFileError, match=r"col_ptr\.npy: .*outside \[0, 300\)"):
        open_collection(folder).read(np.arange(60))


def without_header(tmp_path):
    adata = cells()
    adata.X.data.astype("f4").tofile(tmp_path / "data.npy")
    adata.X.indices.astype("u4").tofile(tmp_path / "col_ptr.npy")
    adata.X.indptr.astype("u8").tofile(tmp_path / "row_ptr.npy")
    (tmp_path / "metadata.json").write_text(json.dumps({"num_rows": 60}))
    (tmp_path / "features").mkdir()
    adata.var.to_parquet(tmp_path / "features" / "dataframe_0.parquet", index=False)
    return adata


def test_a_folder_without_a_header_has_the_types_of_old_versions(tmp_path):
    adata = without_header(tmp_path)
    collection = open_collection(tmp_path)
    assert (collection.read(np.arange(60))["X"] != adata.X).nnz == 0


@pytest.mark.parametrize("name", ["header.sch", "features/dataframe_0.parquet"])
def test_a_pipe_in_the_place_of_a_header_or_table_is_not_waited_for(tmp_path, name):
    without_header(tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(DamagedFileError, match="no regular file"):
        open_collection(tmp_path)
