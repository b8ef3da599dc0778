"""AnnData in zarr stores, and what else open_collection accepts."""

import pickle
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

anndata = pytest.importorskip("anndata")
zarr = pytest.importorskip("zarr")

from tests.written import once  # noqa: E402

from scdataset.cells import open_collection  # noqa: E402
from scdataset.cells.formats.zarr import ZarrFile  # noqa: E402
from scdataset.engine.context import ReadContext  # noqa: E402
from scdataset.engine.threads import Threads  # noqa: E402
from scdataset.errors import ArgumentValueError, CollectionError, DamagedFileError  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:(anndata|zarr|contextlib|zipfile)", "ignore:Element .* was written without encoding metadata"
)


def cells(n=60, genes=25, seed=0):
    rng = np.random.default_rng(seed)
    counts = scipy.sparse.csr_matrix(rng.poisson(0.3, (n, genes)).astype("float32"))
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(["a", "b", None], n)),
            "depth": rng.normal(size=n),
            "good": rng.random(n) < 0.5,
            "maybe": pd.array(rng.choice([1, 2, None], n), dtype="Int64"),
        },
        index=[f"cell{i}" for i in range(n)],
    )
    made = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(genes)]))
    made.layers["dense"] = rng.normal(size=(n, genes))
    made.layers["columns"] = counts.tocsc()
    made.obsm["X_pca"] = rng.normal(size=(n, 5)).astype("float32")
    made.raw = anndata.AnnData(counts[:, :9] * 2, var=made.var[:9])
    return made


def write(made, path, version=3):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with anndata.settings.override(zarr_write_format=version):
            made.write_zarr(path, chunks=(16, 10))
    return path


@once
def stored(path, version=3, **options):
    return write(cells(**options), path, version)


def zipped(folder):
    path = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return path


def assert_same(found, expected):
    assert type(found) is type(expected) or scipy.sparse.issparse(found) == scipy.sparse.issparse(expected)
    if scipy.sparse.issparse(expected):
        assert np.array_equal(found.indices, expected.indices)
        assert np.array_equal(found.indptr, expected.indptr)
        found, expected = found.data, expected.data
    assert found.dtype == expected.dtype
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()


def assert_file(path, layer, expected):
    rows = np.random.default_rng(5).integers(0, expected.shape[0], 100)
    for fallback in (False, True):
        file = ZarrFile(str(path), layer, fallback=fallback)
        assert file.matrix.shape == expected.shape
        for wanted in (np.arange(file.n_obs), rows):
            assert_same(file.matrix.read(wanted, ReadContext(Threads(2))), expected[wanted])
        file.close()


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.parametrize("version", [2, 3])
def test_stores_that_anndata_writes_are_read(tmp_path, version, is_zip):
    made = cells()
    path = stored(tmp_path / "a.zarr", version)
    path = zipped(path) if is_zip else path
    assert_file(path, None, made.X)
    assert_file(path, "dense", made.layers["dense"])
    assert_file(path, "raw", made.raw.X)
    names = ["kind", "depth", "good", "maybe"]
    collection = open_collection(path, obs=names, obsm=["X_pca"])
    rows = np.array([50, 3, 3, 0, 59])
    batch = collection.read(rows)
    assert_same(batch["X"], made.X[rows])
    assert_same(batch["X_pca"], made.obsm["X_pca"][rows])
    assert collection.categories["kind"].tolist() == ["a", "b"]
    assert batch["kind"].tolist() == made.obs["kind"].cat.codes.to_numpy()[rows].tolist()
    assert batch["depth"].tobytes() == made.obs["depth"].to_numpy()[rows].tobytes()
    assert batch["good"].tolist() == made.obs["good"].to_numpy()[rows].tolist()
    assert np.array_equal(batch["maybe"], made.obs["maybe"].to_numpy(np.float64, na_value=np.nan)[rows], equal_nan=True)
    assert collection.var_names.tolist() == made.var_names.tolist()
    assert open_collection(path, layer="raw").var_names.tolist() == made.var_names[:9].tolist()
    copied = pickle.loads(pickle.dumps(collection))
    assert_same(copied.read(rows)["X"], made.X[rows])


@pytest.mark.parametrize("is_zip", [False, True])
def test_columns_are_refused_and_layers_named(tmp_path, is_zip):
    path = stored(tmp_path / "a.zarr")
    path = zipped(path) if is_zip else path
    with pytest.raises(CollectionError, match=r"CSC.*write_zarr"):
        open_collection(path, layer="columns")
    with pytest.raises(ArgumentValueError, match=r"\[None, 'raw', 'columns', 'dense'\]"):
        open_collection(path, layer="counts")
    with pytest.raises(ArgumentValueError, match=r"no column 'x'; it has \['kind', 'depth', 'good', 'maybe'\]"):
        open_collection(path, obs=["x"]).read(np.array([0]))
    with pytest.raises(ArgumentValueError, match=r"\['X_pca'\]"):
        open_collection(path, obsm=["X_umap"])


@pytest.mark.parametrize("name", ["0.7.0", "0.7.8", "0.13.3"])
@pytest.mark.parametrize("layer", [None, "raw"])
def test_real_stores_are_read(real_data, name, layer):
    path = real_data(f"zarr/anndata_archive_v{name}.zarr.zip")
    with zarr.storage.ZipStore(path, mode="r") as store:
        root = zarr.open_group(store, mode="r")
        found = root["raw/X" if layer else "X"] if not layer or "X" in root["raw"] else None
        if found is None:
            pytest.skip(f"{path.name} has no raw")
        expected = anndata.io.read_elem(found)
        layers = list(root.get("layers", ()))
        obs = anndata.io.read_elem(root["obs"]) if name != "0.13.3" else None
    assert_file(path, layer, expected)
    if layer is None:
        for one in layers:
            ZarrFile(str(path), one)
    if obs is not None:
        collection = open_collection(path, obs=list(obs.columns))
        for column in obs:
            values = collection.read(np.arange(len(obs)))[column]
            if column in collection.categories:
                values = collection.categories[column][values]
            assert np.array_equal(values, np.asarray(obs[column]))


def test_a_real_folder_with_records_for_obs_is_read(real_data):
    path = real_data("zarr/scanpy_10x-10k-subset.zarr")
    root = zarr.open_group(str(path), mode="r")
    assert_file(path, None, root["X"][:])
    collection = open_collection(path)
    assert collection.var_names.tolist() == root["var"][:]["index"].astype(str).tolist()
    assert list(collection.var.columns) == ["gene_ids"]


@pytest.mark.parametrize("name", ["anndata_archive_v0.11.4"])
def test_real_stores_without_a_matrix_are_refused(real_data, name):
    with pytest.raises(ArgumentValueError, match="has no X"):
        open_collection(real_data(f"zarr/{name}.zarr.zip"))


def collection_of(tmp_path, n_stores, *, annbatch):
    parts = [cells(n=20 + i, seed=i) for i in range(n_stores)]
    parts = [anndata.AnnData(part.X, part.obs[["kind"]], part.var) for part in parts]
    folder = tmp_path / "all"
    folder.mkdir()
    if annbatch:
        zarr.create_group(str(folder))
    for i, part in enumerate(parts):
        write(part, folder / (f"dataset_{i}" if annbatch else f"part{i:02}.zarr"))
    return folder, scipy.sparse.vstack([part.X for part in parts], format="csr")


@pytest.mark.parametrize("annbatch", [False, True])
def test_a_folder_of_stores_acts_as_one_in_the_order_of_names_or_numbers(tmp_path, annbatch):
    n_stores = 11 if annbatch else 3
    folder, expected = collection_of(tmp_path, n_stores, annbatch=annbatch)
    collection = open_collection(folder, obs=["kind"])
    assert len(collection.files) == n_stores
    rows = np.random.default_rng(0).permutation(len(collection))
    assert_same(collection.read(rows)["X"], expected[rows])
    if not annbatch:
        assert open_collection(f"{folder}/part*.zarr").files == collection.files


def test_sources_of_several_kinds_are_one_collection_if_their_genes_agree(tmp_path):
    made = cells()
    zarr_path = stored(tmp_path / "a.zarr")
    made.write_h5ad(tmp_path / "b.h5ad")
    collection = open_collection([tmp_path / "b.h5ad", zarr_path, zipped(zarr_path)], obs=["kind"])
    assert len(collection) == 180
    batch = collection.read(np.array([130, 70, 10]))
    assert_same(batch["X"], made.X[[10, 10, 10]])
    stored(tmp_path / "c.zarr", genes=24)
    with pytest.raises(CollectionError, match="other genes"):
        open_collection([zarr_path, tmp_path / "c.zarr"])


def test_a_folder_of_several_kinds_is_refused(tmp_path):
    stored(tmp_path / "a.zarr")
    cells().write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(ArgumentValueError, match=r"files of several kinds \(1 \.h5ad, 1 \.zarr\)"):
        open_collection(tmp_path)


@pytest.mark.parametrize("name", ["nothing*.zarr", "empty", "text.zarr.zip", "text.txt", "group.zarr"])
def test_what_is_no_collection_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zarr.zip").write_text("no zip")
    (tmp_path / "text.txt").write_text("no cells")
    zarr.create_group(str(tmp_path / "group.zarr"))
    with pytest.raises((ArgumentValueError, CollectionError)) as caught:
        open_collection(tmp_path / name)
    assert name in str(caught.value)


def test_a_truncated_zip_file_is_refused(tmp_path):
    path = zipped(stored(tmp_path / "a.zarr"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CollectionError, match="cannot be opened as a zarr store"):
        open_collection(path)


def test_a_matrix_with_other_rows_than_obs_is_refused(tmp_path):
    path = stored(tmp_path / "a.zarr")
    other = stored(tmp_path / "b.zarr", n=61)
    (path / "obs").rename(tmp_path / "obs")
    (other / "obs").rename(path / "obs")
    with pytest.raises(DamagedFileError, match=r"X has shape \(60, 25\), and there are 61 rows of obs"):
        open_collection(path)


def test_obs_and_obsm_of_other_lengths_are_refused(tmp_path):
    path = stored(tmp_path / "a.zarr")
    other = stored(tmp_path / "b.zarr", n=61)
    for name in ("obs/depth", "obsm/X_pca"):
        (path / name).rename(tmp_path / "before")
        (other / name).rename(path / name)
        (tmp_path / "before").rename(other / name)
    with pytest.raises(DamagedFileError, match=r"obs\['depth'\] has shape \(61,\)"):
        open_collection(path, obs=["depth"]).read(np.array([0]))
    with pytest.raises(DamagedFileError, match=r"obsm\['X_pca'\] has 61 rows"):
        open_collection(path, obsm=["X_pca"])


def test_a_column_that_cannot_be_decoded_names_store_and_column(tmp_path):
    path = stored(tmp_path / "a.zarr")
    chunk = path / "obs" / "depth" / "c" / "0"
    chunk.write_bytes(chunk.read_bytes()[:10])
    with pytest.raises(DamagedFileError, match=r"a\.zarr: obs/depth cannot be read"):
        open_collection(path, obs=["depth"]).read(np.array([0]))


def test_names_that_are_numbers_are_text_as_in_anndata(tmp_path):
    made = cells()
    path = write(made, tmp_path / "a.zarr")
    root = zarr.open_group(str(path), use_consolidated=False)
    anndata.io.write_elem(root, "var", pd.DataFrame(index=pd.Index(np.arange(25), name="number")))
    assert open_collection(path).var_names.tolist() == [str(i) for i in range(25)]
