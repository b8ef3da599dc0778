"""The index of chunks in an HDF5 file is checked: chunks at one place, in the same bytes, off the grid, or missing."""

import h5py
import numpy as np
import pytest
from tests.engine.stored import How, store
from tests.written import cells, counts

from scdataset import open_collection
from scdataset.engine.arrays.chunk_index import NOT_STORED, overlapping
from scdataset.engine.containers.hdf5 import H5File, arrays_of, chunk_index_of, csr_matrix
from scdataset.errors import DamagedFileError

N, CHUNK = 600, 100


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as h5:
        h5.create_dataset("x", data=np.arange(N), chunks=(CHUNK,), compression="gzip")
    return path


def chunk(path, number):
    with h5py.File(path) as h5:
        return h5["x"].id.get_chunk_info(number)


def replace(path, old, new):
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def key(stored, start):
    """Return the key of a chunk in the index: its size, its filters, and where it begins, in elements and in bytes."""
    return stored.size.to_bytes(4, "little") + bytes(4) + start.to_bytes(8, "little") + bytes(8)


def refused(path, *said):
    with pytest.raises(DamagedFileError) as caught:
        chunk_index_of(H5File(str(path)), "x")
    for word in (str(path), "x", *said):
        assert word in str(caught.value)


@pytest.mark.parametrize(("start", "said"), [(100, "two chunks"), (600, "chunk at"), (2**40, "")])
def test_a_chunk_at_a_place_of_another_or_of_none(path, start, said):
    stored = chunk(path, 2)
    replace(path, key(stored, 200), key(stored, start))
    refused(path, said)


@pytest.mark.parametrize("shift", [0, 5])
def test_chunks_in_the_same_bytes(path, shift):
    first, second = (chunk(path, number).byte_offset for number in (1, 2))
    replace(path, second.to_bytes(8, "little"), (first + shift).to_bytes(8, "little"))
    refused(path, "chunks 1 and 2 have bytes in common")


@pytest.mark.parametrize(
    ("offsets", "sizes", "pair"),
    [
        ([], [], None),
        ([7], [3], None),
        ([30, 10, 20], [5, 10, 10], None),
        ([30, 10, 20], [5, 10, 11], (2, 0)),
        ([30, 10, 10], [5, 1, 1], (1, 2)),
        ([0, 40, 10], [100, 1, 1], (0, 2)),
        ([NOT_STORED, NOT_STORED, 0], [0, 0, 9], None),
    ],
)
def test_overlapping_chunks_are_found(offsets, sizes, pair):
    assert overlapping(np.array(offsets, np.int64), np.array(sizes, np.int64)) == pair


@pytest.mark.parametrize("array", ["data", "indices", "indptr"])
@pytest.mark.parametrize("filters", ["none", "gzip", "scaleoffset"])
@pytest.mark.parametrize("fallback", [False, True])
def test_a_sparse_matrix_of_which_chunks_were_never_written(tmp_path, array, filters, fallback):
    matrix = counts(30, 20, "i4")
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        for name in ("data", "indices", "indptr"):
            layout = "partly written" if name == array else "chunked"
            store(h5.require_group("X"), name, getattr(matrix, name), How(layout, filters, (7,)), tmp_path, fill=0)
    with pytest.raises(DamagedFileError, match=rf"m\.h5: chunk .* of X/{array} is not in the file"):
        csr_matrix(H5File(str(tmp_path / "m.h5")), "X", matrix.shape, fallback=fallback)


@pytest.mark.parametrize("filters", ["none", "gzip"])
def test_column_numbers_in_the_bytes_of_values(tmp_path, filters):
    path, matrix = tmp_path / "m.h5", counts(30, 20, "i4")
    with h5py.File(path, "w") as h5:
        for name in ("data", "indices", "indptr"):
            store(h5.require_group("X"), name, getattr(matrix, name), How("chunked", filters, (7,)), tmp_path)
    with h5py.File(path) as h5:
        data, indices = (h5[f"X/{name}"].id.get_chunk_info(3).byte_offset for name in ("data", "indices"))
    replace(path, indices.to_bytes(8, "little"), data.to_bytes(8, "little"))
    with pytest.raises(DamagedFileError, match=r"m\.h5: X/data and X/indices have chunks in the same bytes"):
        csr_matrix(H5File(str(path)), "X", matrix.shape)


def test_an_array_of_a_sparse_matrix_for_which_no_place_was_ever_taken(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        h5["X/data"], h5["X/indptr"] = np.ones(3), np.array([0, 1, 3])
        h5.create_dataset("X/indices", (3,), "i4")
    with pytest.raises(DamagedFileError, match="X/indices is not in the file"):
        csr_matrix(H5File(str(tmp_path / "m.h5")), "X", (2, 9))


def test_sparse_matrices_of_zeros_are_whole(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        for name in ("data", "indices"):
            h5.create_dataset(f"X/{name}", data=np.zeros(9, "i4"), chunks=(2,), compression="gzip")
        h5.create_dataset("X/indptr", data=np.arange(10), chunks=(2,))
        h5.create_dataset("empty/indptr", data=np.zeros(10, int))
        for name in ("data", "indices"):
            h5.create_dataset(f"empty/{name}", data=np.zeros(0, "i4"), chunks=(2,), maxshape=(None,))
    file = H5File(str(tmp_path / "m.h5"))
    assert csr_matrix(file, "X", (9, 1)).shape == csr_matrix(file, "empty", (9, 1)).shape


def test_a_column_of_obs_may_lack_chunks(tmp_path):
    path = tmp_path / "m.h5ad"
    cells(counts(30, 20)).write_h5ad(path)
    with h5py.File(path, "a") as h5:
        attributes = dict(h5["obs/int64"].attrs)
        del h5["obs/int64"]
        h5.create_dataset("obs/int64", (30,), "i8", chunks=(7,), fillvalue=5).attrs.update(attributes)
        h5["obs/int64"][:7] = 1
    assert open_collection(path, obs=["int64"]).obs["int64"].tolist() == [1] * 7 + [5] * 23


@pytest.mark.parametrize("n_chunks", [10**9, 2**50])
def test_a_dataset_that_claims_any_number_of_chunks(tmp_path, n_chunks):
    """A table of them all would take gigabytes, or more than there is."""
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        h5.create_dataset("x", (n_chunks * 10,), "u1", chunks=(10,), fillvalue=3)[5] = 1
    (elements,) = arrays_of(H5File(str(tmp_path / "m.h5")), "x")
    assert elements._chunks.piece(0)[:10].tolist() == [3] * 5 + [1] + [3] * 4
