"""h5ad files that many versions of anndata wrote, against what anndata reads of them."""

import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.written import H5AD

from scdataset import open_collection
from scdataset.cells.formats.h5ad import H5adFile
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError

WITH_X = [*H5AD, "old_schema/scirpy_wu2020_200_v0_11.h5ad"]
RAW = ["old_schema/anndata_archive_v0.5.0.h5ad", "old_schema/anndata_archive_v0.7.0.h5ad"]
IN_PARTS = "old_schema/anndata_archive_v0.13.3.h5ad"  # as a whole it takes a package that is not here


@pytest.fixture(scope="module")
def in_memory():
    """Return a function from a path to its AnnData, which is read once."""
    read = {}

    def find(path):
        if path not in read:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read[path] = anndata.read_h5ad(path)
        return read[path]

    return find


def rows_of(n):
    return np.concatenate([np.random.default_rng(0).integers(0, n, 2 * n), np.arange(n)])


def check_rows(path, layer, expected):
    rows = rows_of(expected.shape[0])
    for fallback in (False, True):
        file = H5adFile(str(path), layer, fallback=fallback)
        found = file.matrix.read(rows, ReadContext(Threads(2)))
        assert found.dtype == expected.dtype
        assert scipy.sparse.issparse(found) == scipy.sparse.issparse(expected)
        if scipy.sparse.issparse(found):
            wanted = expected.tocsr()[rows]
            for part in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))
        else:
            np.testing.assert_array_equal(found, np.asarray(expected)[rows])
        file.close()


@pytest.mark.parametrize("name", WITH_X)
def test_rows_of_x_are_those_that_anndata_reads(real_data, in_memory, name):
    path = real_data(name)
    check_rows(path, None, in_memory(path).X)


@pytest.mark.parametrize("name", ["old_schema/anndata_archive_v0.7.0.h5ad", "old_schema/anndata_archive_v0.7.8.h5ad"])
@pytest.mark.parametrize("layer", ["array", "sparse"])
def test_rows_of_layers_are_those_that_anndata_reads(real_data, in_memory, name, layer):
    path = real_data(name)
    check_rows(path, layer, in_memory(path).layers[layer])


@pytest.mark.parametrize("name", RAW)
def test_rows_and_genes_of_raw(real_data, in_memory, name):
    path = real_data(name)
    adata = in_memory(path)
    check_rows(path, "raw", adata.raw.X)
    assert list(H5adFile(str(path), "raw").var.index) == list(adata.raw.var_names)


@pytest.mark.parametrize("layer", [None, "array", "sparse", "sparse_array"])
def test_matrices_of_a_file_that_anndata_does_not_read_whole(real_data, layer):
    path = real_data(IN_PARTS)
    with h5py.File(path) as h5:
        expected = anndata.io.read_elem(h5["X" if layer is None else f"layers/{layer}"])
    check_rows(path, layer, expected)


def check_column(file, name, expected):
    column = file.column(name)
    if column.categories is None:
        numbers = pd.Series(expected)
        wanted = numbers.to_numpy(np.float64, na_value=np.nan) if numbers.isna().any() else numbers.to_numpy()
        np.testing.assert_array_equal(column.codes, wanted)
        assert column.codes.dtype.kind in "iufb"
        return
    labels = pd.Categorical(expected)
    if isinstance(expected.dtype, pd.CategoricalDtype):
        assert list(column.categories) == list(labels.categories)
        assert column.ordered == bool(labels.ordered)
    np.testing.assert_array_equal(column.codes < 0, labels.codes < 0)
    there = column.codes >= 0
    assert list(column.categories[column.codes[there]]) == list(np.asarray(labels)[there])


@pytest.mark.parametrize("name", WITH_X)
def test_every_column_of_obs_and_the_genes(real_data, in_memory, name):
    path = real_data(name)
    adata = in_memory(path)
    file = H5adFile(str(path), None)
    for column in adata.obs:
        check_column(file, column, adata.obs[column])
    pd.testing.assert_index_equal(file.var.index, adata.var.index, check_names=False)


def test_columns_of_a_file_that_anndata_does_not_read_whole(real_data):
    path = real_data(IN_PARTS)
    with h5py.File(path) as h5:
        obs = anndata.io.read_elem(h5["obs"])
    assert {"nullable-int32", "nullable-bool", "cat_unordered", "bool"} <= set(obs)
    file = H5adFile(str(path), None)
    for column in obs:
        check_column(file, column, obs[column])


@pytest.mark.parametrize("name", ["odd/scfates_test_unsorted_indices.h5ad", "odd/cap_valid_dense_float64.h5ad"])
def test_arrays_of_obsm_are_those_that_anndata_reads(real_data, in_memory, name):
    path = real_data(name)
    adata = in_memory(path)
    rows = rows_of(adata.n_obs)
    for key, expected in adata.obsm.items():
        found = H5adFile(str(path), None).array(key).read(rows, ReadContext(Threads(1)))
        np.testing.assert_array_equal(found, np.asarray(expected)[rows])


@pytest.mark.parametrize("name", ["odd/ktplotspy_ventolab_X_none.h5ad", "old_schema/anndata_archive_v0.11.4.h5ad"])
def test_a_file_without_x_is_refused(real_data, name):
    with pytest.raises(ArgumentValueError, match="has no X, and no other matrix: neither X, nor raw, nor layers"):
        open_collection(real_data(name))


@pytest.fixture
def small(tmp_path):
    """Return a function that writes a small AnnData, changed by the caller, and returns its path."""

    def write(change=lambda adata: None, *, name="small.h5ad", **options):
        rng = np.random.default_rng(0)
        adata = anndata.AnnData(
            scipy.sparse.random_array((20, 9), density=0.4, format="csr", rng=rng, dtype=np.float32),
            obs=pd.DataFrame({"n": np.arange(20)}, index=[f"c{i}" for i in range(20)]),
            obsm={
                "X_pca": rng.normal(size=(20, 3)),
                "frame": pd.DataFrame({"a": range(20)}, index=map("c{}".format, range(20))),
            },
        )
        change(adata)
        adata.write_h5ad(tmp_path / name, **options)
        return tmp_path / name

    return write


def test_a_missing_layer_lists_those_there_are(small):
    def change(adata):
        adata.layers["counts"] = adata.X.copy()
        adata.raw = adata
        adata.X = None

    path = small(change)
    for layer, name in ((None, "X"), ("count", "layers/count")):
        with pytest.raises(ArgumentValueError) as caught:
            open_collection(path, layer=layer)
        assert f"small.h5ad has no {name}; layer={layer!r} has to be one of ['raw', 'counts']" in str(caught.value)
    assert open_collection(path, layer="counts").shape == (20, 9)


def test_sparse_by_columns_is_refused_with_how_to_convert_it(small):
    path = small(lambda adata: setattr(adata, "X", adata.X.tocsc()))
    with pytest.raises(CollectionError, match=r"small\.h5ad: X is sparse by columns.*a\.X\.tocsr\(\)"):
        open_collection(path)


def test_missing_columns_and_arrays_are_named_at_opening(small):
    path = small()
    with pytest.raises(ArgumentValueError, match=r"obs has no column 'm'; it has \['n'\]"):
        open_collection(path, obs=["m"])
    with pytest.raises(ArgumentValueError, match=r"obsm has no array 'pca'; it has \['X_pca'\]"):
        open_collection(path, obsm=["pca"])
    with pytest.raises(CollectionError, match=r"a data frame.*a\.obsm\['frame'\]\.to_numpy\(\); a\.write_h5ad"):
        open_collection(path, obsm=["frame"])


def test_an_hdf5_file_of_another_kind_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5ad", "w") as h5:
        h5["pixels"] = np.arange(3)
    with pytest.raises(CollectionError, match=r"other\.h5ad has no obs, but \['pixels'\]"):
        H5adFile(str(tmp_path / "other.h5ad"), None)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("X has shape", lambda h5: h5["X"].attrs.__setitem__("shape", [21, 9])),
        ("X has shape", lambda h5: h5["X"].attrs.__setitem__("shape", [20, 10])),
        ("obs.*has shape", lambda h5: (h5["obs"].__delitem__("n"), h5["obs"].__setitem__("n", np.arange(19)))),
        (
            "obsm.*has 19 rows",
            lambda h5: (h5.__delitem__("obsm/X_pca"), h5.__setitem__("obsm/X_pca", np.zeros((19, 3)))),
        ),
        ("X is of an unknown kind", lambda h5: h5["X"].attrs.__setitem__("encoding-type", "coo")),
    ],
)
def test_files_that_contradict_themselves(small, what, change):
    path = small()
    with h5py.File(path, "a") as h5:
        change(h5)
    with pytest.raises((DamagedFileError, CollectionError), match=rf"small\.h5ad: {what}"):
        open_collection(path, obs=["n"], obsm=["X_pca"])
