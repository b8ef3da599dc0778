"""Half floats: single floats in row-sparse matrices, of which scipy has none, and half floats in dense ones."""

import anndata
import h5py
import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse
import zarr

from scdataset import Streaming, open_collection, scDataset
from scdataset.collections.adapters.backed_anndata import BackedMatrix
from scdataset.errors import ArgumentTypeError, ArgumentValueError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:(anndata|zarr|contextlib)")

RNG = np.random.default_rng(0)
COUNTS = scipy.sparse.random_array((30, 12), density=0.4, format="csr", rng=RNG, dtype=np.float32)
COUNTS.data = COUNTS.data.astype(np.float16).astype(np.float32)
ROWS = RNG.integers(0, 30, 50)
PARTS = ("data", "indices", "indptr")


def h5ad(folder, **options):
    anndata.AnnData(COUNTS).write_h5ad(folder / "a.h5ad")
    with h5py.File(folder / "a.h5ad", "a") as file:
        del file["X/data"]
        file.create_dataset("X/data", data=COUNTS.data.astype(np.float16), **options)
    return folder / "a.h5ad"


def zarr_store(folder, version):
    with anndata.settings.override(zarr_write_format=version):
        anndata.AnnData(COUNTS).write_zarr(folder / "a.zarr")
    group = zarr.open_group(folder / "a.zarr", use_consolidated=False)["X"]
    del group["data"]
    group.create_array("data", data=COUNTS.data.astype(np.float16), chunks=(50,))
    return folder / "a.zarr"


def tenx(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        for name in PARTS:
            values = getattr(COUNTS, name)
            file[f"matrix/{name}"] = values.astype(np.float16) if name == "data" else values
        file["matrix/shape"] = COUNTS.shape[::-1]
        file["matrix/barcodes"] = np.array([f"cell{i}" for i in range(30)], "S")
        for name in ("name", "id"):
            file[f"matrix/features/{name}"] = np.array([str(i) for i in range(12)], "S")
    return folder / "a.h5"


def arrow(folder):
    lists = {
        "genes": pa.ListArray.from_arrays(COUNTS.indptr, COUNTS.indices.astype(np.int64)),
        "expressions": pa.ListArray.from_arrays(COUNTS.indptr, pa.array(COUNTS.data.astype(np.float16))),
    }
    table = pa.table(lists)
    with pa.ipc.new_stream(str(folder / "a.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return folder / "a.arrow"


FORMATS = {
    "h5ad": h5ad,
    "h5ad in chunks": lambda folder: h5ad(folder, chunks=(40,), compression="gzip"),
    "zarr 2": lambda folder: zarr_store(folder, 2),
    "zarr 3": lambda folder: zarr_store(folder, 3),
    "10x": tenx,
    "Arrow": arrow,
}


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    return FORMATS[request.param](tmp_path)


def opened(path, **options):
    extra = {"gene_table": 12} if path.name.endswith(".arrow") else {}
    return open_collection(path, num_threads=2, **extra, **options)


def test_sparse_rows_are_single_floats_of_the_same_values(path):
    expected = COUNTS[ROWS].toarray()
    for dtype in (None, "float32", "float64"):
        found = opened(path, dtype=dtype).read(ROWS)["X"]
        assert found.dtype == (dtype or "float32")
        np.testing.assert_array_equal(found.toarray(), expected)
    assert opened(path).read(ROWS[:0])["X"].shape == (0, 12)
    [*batches] = scDataset(opened(path), Streaming(), batch_size=8)
    np.testing.assert_array_equal(scipy.sparse.vstack([batch["X"] for batch in batches]).toarray(), COUNTS.toarray())


def test_chosen_columns_are_single_floats_of_the_same_values(path):
    names = opened(path).var_names
    found = opened(path, genes=[names[5], names[2]]).read(ROWS)["X"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), COUNTS[ROWS][:, [5, 2]].toarray())


def test_sparse_half_floats_are_refused_at_opening(path):
    with pytest.raises(ArgumentValueError, match=r"dtype='float16' is for dense.*of float16; give.*float32"):
        opened(path, dtype="float16")


def test_files_of_half_and_of_other_floats_act_as_one(tmp_path):
    path = h5ad(tmp_path)
    for dtype in ("float32", "int16", "float64"):
        anndata.AnnData(COUNTS.astype(dtype)).write_h5ad(tmp_path / "b.h5ad")
        found = open_collection([path, tmp_path / "b.h5ad"]).read(np.arange(60))["X"]
        assert found.dtype == np.result_type(np.float32, dtype)
        expected = scipy.sparse.vstack([COUNTS, COUNTS.astype(dtype)])
        np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_dense_half_floats_stay_what_they_are(tmp_path):
    values = COUNTS.toarray().astype(np.float16)
    anndata.AnnData(values).write_h5ad(tmp_path / "a.h5ad")
    for dtype in (None, "float16"):
        found = open_collection(tmp_path / "a.h5ad", dtype=dtype).read(ROWS)["X"]
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, values[ROWS])


def test_backed_cells_of_sparse_half_floats_are_left_to_anndata(tmp_path):
    cells = anndata.read_h5ad(h5ad(tmp_path), backed="r")
    assert BackedMatrix.from_anndata(cells) is None
    anndata.AnnData(COUNTS).write_h5ad(tmp_path / "b.h5ad")
    assert BackedMatrix.from_anndata(anndata.read_h5ad(tmp_path / "b.h5ad", backed="r")) is not None


@pytest.mark.parametrize("dtype", [">f4", "complex64", "datetime64[s]", "str", object])
def test_other_types_than_native_real_numbers_are_refused(tmp_path, dtype):
    anndata.AnnData(COUNTS).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(ArgumentValueError, match="real numbers in the byte order of this machine"):
        open_collection(tmp_path / "a.h5ad", dtype=dtype)


def test_what_is_no_type_is_refused(tmp_path):
    anndata.AnnData(COUNTS).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(ArgumentTypeError, match="dtype='float33' is not a type of numbers"):
        open_collection(tmp_path / "a.h5ad", dtype="float33")
