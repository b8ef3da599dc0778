"""What comes of an AnnCollection over files is what indexing it gives, and the engine reads it."""

import pickle
import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata.experimental import AnnCollection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.collections.files import GENES, PARTS, among_others, cells
from tests.collections.reference import N_ROWS, X
from tests.examples import rare

from scdataset import BlockShuffling, BlockWeightedSampling, as_collection, scDataset

ROWS = st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=60).map(lambda rows: np.array(rows, np.int64))


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def assert_same_matrix(found, expected):
    assert sp.issparse(found) == sp.issparse(expected)
    assert found.dtype == expected.dtype
    assert np.array_equal(dense(found), dense(expected))


def assert_same_cells(found, view):
    """Compare all that a view has with what was read."""
    assert len(found) == len(view)
    assert found.shape == view.shape
    assert found.obs_names.equals(view.obs_names)
    assert found.var_names.equals(view.var_names)
    assert_same_matrix(found.X, view.X)
    assert (found.obs is None) == (view.obs is None)
    assert view.obs is None or found.obs.df.equals(view.obs.df)
    adata = found.to_adata()
    assert_same_matrix(adata.X, view.X)
    for kind in ("obsm", "layers"):
        expected = getattr(view, kind)
        assert (getattr(found, kind) is None) == (expected is None)
        for name in () if expected is None else filter(None, expected.keys()):  # None is X, in anndata 0.13
            assert_same_matrix(getattr(found, kind)[name], expected[name])
            assert_same_matrix(getattr(adata, kind)[name], expected[name])


def written(folder, parts):
    """Return the parts, each backed by a file."""
    for number, part in enumerate(parts):
        part.write_h5ad(folder / f"{number}.h5ad")
    return [anndata.read_h5ad(folder / f"{number}.h5ad", backed="r") for number in range(len(parts))]


def parts_of(matrix, genes=GENES):
    """Return three parts with other genes, other categories and a column of their own."""
    parts = [among_others(cells(matrix, rows), names) for rows, names in zip(PARTS, genes, strict=True)]
    for number, part in enumerate(parts):
        part.obs["type"] = part.obs["type"].astype(str).astype("category")
        part.obs[f"only in {number}"] = 1.0
    return parts


@pytest.fixture(scope="module", params=[sp.csr_matrix, np.array], ids=["CSR", "dense"])
def files(request, tmp_path_factory):
    return written(tmp_path_factory.mktemp("parts"), parts_of(request.param))


JOINS = {
    "inner": {"join_obs": "inner", "label": "file", "index_unique": "-"},
    "outer": {"join_obs": "outer", "join_obsm": "inner"},
    "none": {"join_obs": None},
    "as they are": {"harmonize_dtypes": False, "indices_strict": True},
}


@pytest.mark.parametrize("join", ["inner", "none", *rare("outer", "as they are")])
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_cells_equal_those_of_the_collection(files, join, rows):
    collection = AnnCollection(files, join_vars="inner", **JOINS[join])
    read = as_collection(collection)
    assert read.reads_ahead
    distinct = np.unique(rows)
    assert_same_cells(read.read(distinct), collection[distinct])
    if sp.issparse(read.read(rows).X):  # anndata itself reads dense files in order only
        assert_same_cells(read.read(rows), collection[rows])
    assert np.array_equal(dense(read.read(rows).X), X[rows])


def test_a_single_file_and_genes_that_are_alike_are_read_by_the_engine(files):
    for members in (files[:1], [files[2], files[2]]):
        collection = AnnCollection(members, index_unique="-")
        rows = np.arange(1, len(collection), 2)
        assert as_collection(collection).reads_ahead
        assert_same_cells(as_collection(collection).read(rows), collection[rows])


def test_converters_are_applied_to_what_the_engine_read(files):
    convert = {"X": lambda matrix: dense(matrix) + 1, "obs": {"id": lambda ids: -np.asarray(ids)}}
    collection = AnnCollection(files, join_vars="inner", convert=convert)
    assert as_collection(collection).reads_ahead
    for batch in scDataset(collection, BlockShuffling(2), 5, 2, seed=0):
        rows = -batch.obs["id"]
        assert np.array_equal(batch.X, X[rows] + 1)
        assert np.array_equal(dense(batch.to_adata().X), X[rows])


def writable(folder, parts):
    files = written(folder, parts)
    files[1].file.close()
    return [files[0], anndata.read_h5ad(folder / "1.h5ad", backed="r+"), files[2]]


def with_types(folder, parts):
    parts[1].X = parts[1].X.astype(np.float64)
    return written(folder, parts)


def with_a_dense_one(folder, parts):
    parts[1].X = parts[1].X.toarray()
    return written(folder, parts)


def with_a_view(folder, parts):
    files = written(folder, parts)
    return [*files[:2], files[2][3:]]


LEFT_TO_ANNDATA = {
    "in memory in part": lambda folder, parts: [*written(folder, parts)[:2], parts[2]],
    "a view": with_a_view,
    "open for writing": writable,
    "of two types": with_types,
    "dense in part": with_a_dense_one,
}


@pytest.mark.parametrize("make", LEFT_TO_ANNDATA.values(), ids=LEFT_TO_ANNDATA)
def test_what_the_engine_cannot_read_just_so_is_left_to_anndata(tmp_path, make):
    members = make(tmp_path, parts_of(sp.csr_matrix))
    collection = AnnCollection(members, join_vars="inner")
    read = as_collection(collection)
    assert not read.reads_ahead
    rows = np.array([0, 3, 9, 11, 30])
    assert_same_cells(read.read(rows), collection[rows])
    members[1].file.close()


def test_x_is_read_without_the_handles_of_the_user(tmp_path):
    files = written(tmp_path, parts_of(sp.csr_matrix))
    read = as_collection(AnnCollection(files, join_vars="inner"))
    for file in files:
        file.file.close()
    rows = np.array([36, 2, 11, 2])
    assert np.array_equal(read.begin(rows).toarray(), X[rows])
    assert not any(file.file.is_open for file in files)


def test_windows_read_in_the_background_are_those_read_when_asked(files):
    collection = AnnCollection(files, join_vars="inner", index_unique="-")
    ahead, asked = (
        scDataset(collection, BlockWeightedSampling(2, total_size=100), 3, 2, seed=0, prefetch=prefetch)
        for prefetch in (2, 0)
    )
    for early, late in zip(ahead, asked, strict=True):
        assert early.obs_names.tolist() == late.obs_names.tolist()
        assert_same_matrix(early.X, late.X)
        assert np.array_equal(dense(early.X), X[early.obs["id"]])


def test_cells_are_taken_as_of_a_view(files):
    collection = AnnCollection(files, join_vars="inner")
    rows = np.arange(5, 30)
    read, view = as_collection(collection).read(rows), collection[rows]
    for index in (slice(3, 9), np.array([4, 0, 7]), np.arange(25) % 3 == 0, ["cell 9", "cell 6"]):
        assert_same_cells(read[index], view[index])
    assert_same_cells(read[3:20][2:4], view[5:7])
    assert_same_cells(read[::-2][np.array([1, 0])], view[np.array([22, 24])])
    assert np.array_equal(dense(read[3:6, ["3", "0"]].X), X[8:11][:, [3, 0]])
    assert_same_cells(pickle.loads(pickle.dumps(read[3:9])), view[3:9])
    assert repr(read[3:9]).startswith("AnnCollectionView object with n_obs")


def test_real_files_with_other_genes_are_joined(real_data):
    names = [f"old_schema/scirpy_wu2020_200_v0_{version}.h5ad" for version in (6, 11)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", anndata.OldFormatWarning)
        files = [anndata.read_h5ad(real_data(name), backed="r") for name in names]
    collection = AnnCollection(files, join_vars="inner", join_obs=None, index_unique="-")
    read = as_collection(collection)
    assert read.reads_ahead
    rows = np.random.default_rng(0).permutation(400)[:150]
    assert_same_matrix(read.read(rows).X, collection[rows].X)
    assert read.read(rows).obs_names.equals(collection.obs_names[rows])


def sample_of(path):
    """Return a file of Cell Ranger as AnnData."""
    with h5py.File(path) as file:
        counts = sp.csr_matrix(tuple(file[f"matrix/{name}"][:] for name in ("data", "indices", "indptr")))
        names = {name: file[f"matrix/{name}"][:].astype(str) for name in ("barcodes", "features/id")}
    obs, var = (pd.DataFrame(index=index) for index in names.values())
    counts.resize(len(obs), len(var))
    return anndata.AnnData(counts, obs=obs, var=var)


def test_real_cells_of_three_samples_come_once_each(real_data, tmp_path):
    samples = ("GSM4339772_C144", "GSM4339774_C146", "GSM4475052_C149")
    parts = [sample_of(real_data(f"tenx/scirpy_{sample}_filtered_feature_bc_matrix.h5")) for sample in samples]
    collection = AnnCollection(written(tmp_path, parts), label="sample", index_unique="-")
    stored = sp.vstack([part.X for part in parts], format="csr")
    seen = []
    for batch in scDataset(collection, BlockShuffling(16), 128, 8, seed=1):
        rows = collection.obs_names.get_indexer(batch.obs_names)
        assert (stored[rows] != batch.X).nnz == 0
        assert batch.obs["sample"].tolist() == collection.obs["sample"].iloc[rows].tolist()
        seen += rows.tolist()
    assert sorted(seen) == list(range(stored.shape[0]))
