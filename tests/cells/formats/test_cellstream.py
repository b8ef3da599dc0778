"""cellstream's archives: equal to what cellstream reads."""

import os
import pickle
import sys

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.errors import ArgumentValueError, DamagedFileError, MissingDependencyError


def cells(dtype="f4", scale=1):
    rng = np.random.default_rng(0)
    counts = scipy.sparse.csr_matrix((rng.poisson(0.4, (60, 40)) * scale).astype(dtype))
    names = [f"cell{i}" for i in range(60)]
    obs = pd.DataFrame({"type": pd.Categorical(rng.choice(["T", "B"], 60)), "depth": rng.random(60)}, index=names)
    var = pd.DataFrame(index=[f"gene{i}" for i in range(40)])
    return anndata.AnnData(counts, obs=obs, var=var, obsm={"X_pca": rng.normal(size=(60, 3))})


@pytest.fixture
def cellstream():
    """Return the package, which is built for Linux on x86 alone."""
    return pytest.importorskip("cellstream", reason="cellstream is not here")


@pytest.fixture
def write(cellstream, tmp_path):
    from cellstream.cell import write_cell_archive

    def written(adata):
        path = tmp_path / "a.shad"
        whole = np.array_equal(adata.X.data, adata.X.data.astype("i8"))
        write_cell_archive(adata, path, data_dtype=None if whole else str(adata.X.dtype))
        return str(path)

    return written


@pytest.mark.parametrize(("dtype", "scale"), [("f4", 1), ("f4", 0.25), ("f8", 0.1), ("i4", 2**26 + 1)])
def test_rows_are_what_cellstream_reads(cellstream, write, dtype, scale):
    adata = cells(dtype, scale)
    path = write(adata)
    collection = open_collection(path, obs=["type", "depth"], obsm=["X_pca"])
    assert collection.shape == (60, 40)
    rows = np.random.default_rng(1).integers(0, 60, 100)
    batch = collection.read(rows)
    store = cellstream.open(path)
    same = store.gather_rows(rows, out_dtype=batch["X"].dtype)
    store.close()
    assert np.array_equal(batch["X"].toarray(), same.toarray())
    assert np.array_equal(batch["X"].toarray(), adata.X.toarray()[rows])
    assert np.array_equal(batch["X_pca"], adata.obsm["X_pca"][rows])
    assert np.array_equal(batch["depth"], adata.obs["depth"].to_numpy()[rows])
    assert collection.categories["type"][batch["type"]].tolist() == adata.obs["type"].iloc[rows].tolist()
    assert collection.var_names.tolist() == adata.var_names.tolist()
    assert repr(collection).startswith("CellCollection(60 cells x 40 genes, CSR, 1 file")
    again = pickle.loads(pickle.dumps(collection))
    collection.close()
    for one in (again, collection):
        assert np.array_equal(one.read(rows)["X"].toarray(), same.toarray())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_it_is_read_in_batches(write, num_workers):
    from torch.utils.data import DataLoader

    adata = cells()
    dataset = scDataset(open_collection(write(adata)), BlockShuffling(4), 16, 2, seed=0)
    batches = list(DataLoader(dataset, batch_size=None, num_workers=num_workers))
    rows = np.concatenate(
        list(DataLoader(scDataset(range(60), BlockShuffling(4), 16, 2, seed=0), None, num_workers=num_workers))
    )
    assert np.array_equal(scipy.sparse.vstack([batch["X"] for batch in batches]).toarray(), adata.X.toarray()[rows])


def test_what_is_not_there_is_refused(write):
    path = write(cells())
    for options, said in (({"obs": ["x"]}, "no column 'x'"), ({"obsm": ["x"]}, "no array 'x'")):
        with pytest.raises(ArgumentValueError, match=said):
            open_collection(path, **options)


def test_an_archive_that_is_cut_is_refused(write, tmp_path):
    path = write(cells())
    whole = (tmp_path / "a.shad").read_bytes()
    for kept in (10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "a.shad").write_bytes(whole[:kept])
        with pytest.raises(DamagedFileError, match=r"a\.shad cannot be read by cellstream"):
            open_collection(path)


@pytest.mark.parametrize("change", [lambda path: os.truncate(path, 99), lambda path: path.write_bytes(bytes(9_999))])
def test_an_archive_that_changes_while_it_is_read_is_refused(write, tmp_path, change):
    collection = open_collection(write(cells()))
    collection.read(np.arange(60))
    change(tmp_path / "a.shad")
    with pytest.raises(DamagedFileError, match=r"a\.shad was replaced or changed"):
        collection.read(np.arange(60))


def test_strings_of_its_h5ad_file_that_lead_nowhere_are_refused(write, tmp_path):
    path = write(cells())
    stored = bytearray((tmp_path / "a.shad").read_bytes())
    heap = stored.index(b"GCOL\x01")
    stored[heap + 16 : heap + 32] = bytes(16)  # free space of no bytes, which the library walks over for ever
    (tmp_path / "a.shad").write_bytes(stored)
    with pytest.raises(DamagedFileError, match=r"a\.shad/header\.h5ad.*heap"):
        _ = open_collection(path, obsm=["X_pca"]).var


def test_a_row_with_more_values_than_genes_is_refused(cellstream, write, tmp_path):
    path = write(cells())
    place = next(one["offset"] for one in cellstream.packed.PackedArchive(path).members if one["name"] == "x_indptr")
    stored = np.fromfile(path, "u1")
    pointers = stored[place:].view()[: 61 * 8].view("i8")
    pointers[1:9] = pointers[9]
    stored.tofile(path)
    with pytest.raises(DamagedFileError, match=r"a\.shad has a row of 1\d\d values, and 40 genes"):
        open_collection(path)


def test_without_cellstream_the_answer_is_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.shad").write_bytes(b"SHPK")
    monkeypatch.setitem(sys.modules, "cellstream", None)
    monkeypatch.delitem(sys.modules, "scdataset.cells.formats.cellstream", raising=False)
    with pytest.raises(MissingDependencyError, match="pip install cellstream"):
        open_collection(tmp_path / "a.shad")
