"""h5py datasets: contiguous ones are read past HDF5 where that gives the same values."""

import h5py
import numpy as np
import pytest

from scdataset import BlockShuffling, ScDatasetError, scDataset
from scdataset.collections import as_collection

X = np.arange(300 * 7).reshape(300, 7)
ROWS = [np.arange(300), np.array([299, 0, 0, 5, 6, 7]), np.random.default_rng(0).permutation(300), np.arange(0)]

LAYOUTS = {
    "float32": {"data": X.astype("f4")},
    "big endian": {"data": X.astype(">i2")},
    "half": {"data": X.astype("f2")},
    "bool": {"data": X % 3 == 0},
    "three axes": {"data": X.reshape(300, 7, 1).repeat(2, axis=2)},
    "one axis": {"data": X[:, 0].copy()},
    "no columns": {"data": X[:, :0].copy()},
    "strings": {"data": X.astype("S5")},
    "compound": {"data": np.zeros(300, [("a", "i4"), ("b", "f8")])},
    "chunked": {"data": X, "chunks": (7, 7)},
    "gzip": {"data": X, "chunks": (50, 3), "compression": "gzip"},
    "never written": {"shape": (300, 7), "dtype": "f4", "fillvalue": 3},
    "stored as 12 bits": {"shape": (300, 7), "dtype": "twelve"},
}


def write(file, layout):
    options = dict(LAYOUTS[layout])
    if options.get("dtype") == "twelve":
        kind = h5py.h5t.STD_I16LE.copy()
        kind.set_precision(12)
        space = h5py.h5s.create_simple((300, 7))
        stored = h5py.Dataset(h5py.h5d.create(file.id, b"x", kind, space))
        stored[:] = X % 1000
    else:
        file.create_dataset("x", **options)


@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_those_that_h5py_gives(tmp_path, layout, userblock):
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=userblock) as file:
        write(file, layout)
    with h5py.File(tmp_path / "x.h5") as file:
        collection, whole = as_collection(file["x"]), file["x"][:]
        for rows in ROWS:
            read = collection.read(rows)
            assert read.dtype == whole.dtype
            assert np.array_equal(read, whole[rows])


@pytest.mark.parametrize(("width", "chunks"), [(1, None), (3, None), (1, (16, 1))])
@pytest.mark.parametrize("dtype", ["u1", "f8"])
@pytest.mark.parametrize("n_wanted", [3, 300, 20_000, 60_000])
def test_rows_near_and_far_apart_are_those_that_h5py_gives(tmp_path, width, chunks, dtype, n_wanted):
    whole = np.random.default_rng(0).integers(0, 255, (60_000, width)).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=whole, chunks=chunks)
    rows = np.random.default_rng(1).permutation(60_000)[:n_wanted]
    with h5py.File(tmp_path / "x.h5") as file:
        collection = as_collection(file["x"])
        assert np.array_equal(collection.read(rows), whole[rows])
        assert np.array_equal(
            collection.read(np.append(np.sort(rows), 59_999)), whole[np.append(np.sort(rows), 59_999)]
        )


def test_a_file_that_is_being_written_gives_what_was_written_last(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = X
        collection = as_collection(file["x"])
        file["x"][3:5] = -1
        assert np.array_equal(collection.read(np.array([4, 2, 3])), file["x"][:][[4, 2, 3]])


def test_a_file_cut_short_is_an_error(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.ones((10_000, 7))
    with h5py.File(tmp_path / "x.h5") as file:
        dataset = scDataset(file["x"], BlockShuffling(16), 64, seed=0)
        with (tmp_path / "x.h5").open("r+b") as other:
            other.truncate(50_000)
        with pytest.raises(OSError, match=r"x\.h5"):
            list(dataset)


def test_few_rows_are_read_past_hdf5_and_those_in_chunks_are_not(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["plain"] = X
        file.create_dataset("chunked", data=X, chunks=(7, 7))
    with h5py.File(tmp_path / "x.h5") as file:
        out = np.empty((2, 7), X.dtype)
        assert as_collection(file["plain"])._read_plain(np.array([3, 9]), out)
        assert np.array_equal(out, X[[3, 9]])
        assert not as_collection(file["chunked"])._read_plain(np.array([3, 9]), out)


@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("is_begun", [False, True])
def test_a_file_that_the_user_closes_is_an_error_that_says_so(tmp_path, is_begun, mode):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = X
    file = h5py.File(tmp_path / "a.h5", mode)
    collection = as_collection(file["x"])
    if is_begun:
        collection.read(np.arange(3))
    file.close()
    with pytest.raises(ScDatasetError, match="was closed; open the file again"):
        collection.read(np.arange(3))
