"""Damaged files: an error that names file and array, never a crash, a hang, or columns outside the matrix."""

import os
import zlib

import h5py
import numpy as np
import pytest
from tests.soak.damage.anndata_files import FILES, quietly, write_h5ad
from tests.written import once

from scdataset import open_collection
from scdataset.cells.formats.read_errors import reading
from scdataset.errors import DamagedFileError


@once
def write(path, name):
    quietly(write_h5ad, path, name)
    return path


@pytest.fixture
def files(tmp_path):
    return {name: write(tmp_path / f"{name}.h5ad", name) for name in FILES}


def read_all(path):
    return open_collection(path, obs=["type", "depth"], obsm=["X_pca"], num_threads=2).read(np.arange(60))


def refused(path, *said):
    with pytest.raises(DamagedFileError) as caught:
        read_all(path)
    for word in (str(path), *said):
        assert word in str(caught.value), word


SPARSE = ["plain", "gzip", "lzf", "checked", "lzf checked"]


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("column", [40, 2**31 - 1, -1, -(2**31)])
def test_column_numbers_outside_the_matrix_are_refused(files, name, column):
    with h5py.File(files[name], "a") as h5:
        h5["X/indices"][333] = column
    refused(files[name], "X/indices", f"chunk {0 if name == 'plain' else 3}", "column numbers outside [0, 40)")


@pytest.mark.parametrize("dtype", ["i1", "i2", "i8", "u2", "u8"])
def test_column_numbers_of_other_types_outside_the_matrix_are_refused(files, dtype):
    with h5py.File(files["plain"], "a") as h5:
        indices = h5["X/indices"][:].astype(dtype)
        indices[5] = np.iinfo(dtype).min if indices.dtype.kind == "i" else np.iinfo(dtype).max
        del h5["X/indices"]
        h5["X/indices"] = indices
    refused(files["plain"], "X/indices", "column numbers outside")


def test_negative_columns_below_the_range_of_a_small_type_are_refused(files):
    """As an unsigned byte -1 is 255, which is a column of a matrix with 300."""
    with h5py.File(files["plain"], "a") as h5:
        indices = h5["X/indices"][:].astype("i1")
        indices[5] = -1
        del h5["X/indices"], h5["var/_index"]
        h5["X/indices"] = indices
        h5["var"].create_dataset("_index", data=[f"gene{i}" for i in range(300)], dtype=h5py.string_dtype())
        h5["X"].attrs["shape"] = [60, 300]
    refused(files["plain"], "X/indices", "column numbers outside")


def test_elements_of_a_matrix_without_columns_are_refused(files):
    with h5py.File(files["plain"], "a") as h5:
        del h5["var/_index"]
        h5["var"].create_dataset("_index", shape=(0,), dtype=h5py.string_dtype())
        h5["X"].attrs["shape"] = [60, 0]
    refused(files["plain"], "X/indices", "outside [0, 0)")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda indptr: np.r_[indptr[:5], indptr[4] - 1, indptr[6:]], "falls after row 4"),
        (lambda indptr: indptr - 1, "-1 at its start"),
        (lambda indptr: indptr + 1, "1 at its start"),
        (lambda indptr: np.r_[indptr[:-1], indptr[-1] + 9], "it has to go from 0 to"),
        (lambda indptr: np.r_[0, 2**63 - 1, -(2**63), -1, indptr[4:]], "falls after row 1"),
        (lambda indptr: indptr[:-1], "contradict each other"),
        (lambda indptr: indptr[:0], "an array"),
        (lambda indptr: indptr.astype(float), "it has to be integers"),
    ],
)
def test_row_pointers_that_are_wrong_are_refused(files, change, said):
    with h5py.File(files["plain"], "a") as h5:
        indptr = change(h5["X/indptr"][:].astype(np.int64))
        del h5["X/indptr"]
        h5["X/indptr"] = indptr if indptr.size else h5py.Empty("i8")
    refused(files["plain"], "X", "indptr" if said != "contradict each other" else "row pointers", said)


@pytest.mark.parametrize("array", ["data", "indices"])
@pytest.mark.parametrize(
    "change",
    [lambda values: values[:-1], lambda values: values[:0], lambda values: values[None], lambda values: values[0]],
)
def test_arrays_of_different_lengths_are_refused(files, array, change):
    with h5py.File(files["plain"], "a") as h5:
        values = h5[f"X/{array}"][:]
        del h5[f"X/{array}"]
        h5[f"X/{array}"] = change(values)
    refused(files["plain"], "X")


@pytest.mark.parametrize("array", ["data", "indices", "indptr"])
def test_arrays_that_are_missing_are_refused(files, array):
    with h5py.File(files["plain"], "a") as h5:
        del h5[f"X/{array}"]
    refused(files["plain"], f"X/{array} cannot be read")


def chunk_of(path, name, number=2):
    """Return where a chunk lies."""
    with h5py.File(path) as h5:
        return h5[name].id.get_chunk_info(number)


def patch(path, offset, stored):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(stored)


@pytest.mark.parametrize(("name", "array"), [("gzip", "X/data"), ("checked", "X/indices"), ("dense gzip", "X")])
@pytest.mark.parametrize("where", [2**40, 2**63 - 8, 2**64 - 9])
def test_chunk_tables_that_point_outside_the_file_are_refused(files, name, array, where):
    chunk = chunk_of(files[name], array)
    data = files[name].read_bytes()
    address = chunk.byte_offset.to_bytes(8, "little")
    assert data.count(address) == 1
    patch(files[name], data.index(address), where.to_bytes(8, "little"))
    refused(files[name], array)


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**32 - 1])
def test_chunks_of_impossible_sizes_are_refused(files, size):
    chunk = chunk_of(files["gzip"], "X/data")
    data = files["gzip"].read_bytes()
    key = chunk.size.to_bytes(4, "little") + bytes(4) + (200).to_bytes(8, "little")
    assert data.count(key) == 1
    patch(files["gzip"], data.index(key), size.to_bytes(4, "little"))
    refused(files["gzip"], "X/data")


@pytest.mark.parametrize(
    ("name", "array"), [("gzip", "X/data"), ("checked", "X/data"), ("lzf checked", "X/indices"), ("dense gzip", "X")]
)
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_flipped_bits_under_a_checksum_are_found(files, name, array, place):
    chunk = chunk_of(files[name], array)
    at = chunk.byte_offset + (int(place * chunk.size) if place >= 0 else chunk.size - 1)
    patch(files[name], at, bytes([files[name].read_bytes()[at] ^ 4]))
    chunk = "chunk 0 of X[:, 22:33]" if name == "dense gzip" else f"chunk 2 of {array}"
    refused(files[name], chunk, "cannot be decoded")


@pytest.mark.parametrize(("n_bytes", "said"), [(1 << 24, "can take up"), (1 << 20, "when decoded")])
def test_a_chunk_that_inflates_to_more_than_it_held_is_refused(files, n_bytes, said):
    """A megabyte of zeros takes a kilobyte: the stored size bounds what is inflated, and what comes out is refused."""
    bomb = zlib.compress(bytes(n_bytes))
    with h5py.File(files["gzip"], "a") as h5:
        h5["X/data"].id.write_direct_chunk((200,), bomb)
    refused(files["gzip"], "chunk 2 of X/data", said)


@pytest.mark.parametrize("length", [99, 101])
def test_a_chunk_of_another_length_is_refused(files, length):
    with h5py.File(files["gzip"], "a") as h5:
        h5["X/data"].id.write_direct_chunk((200,), zlib.compress(bytes(4 * length)))
    refused(files["gzip"], "chunk 2 of X/data")


def test_lzf_streams_that_point_before_their_start_are_refused(files):
    with h5py.File(files["lzf"], "a") as h5:
        for stream in (b"\x20\xff", b"\xe0", b"\x1f123", b"\xff\xff\xff", b""):
            h5["X/data"].id.write_direct_chunk((200,), stream or b"\x20")
    refused(files["lzf"], "chunk 2 of X/data", "LZF")


@pytest.mark.parametrize("name", ["plain", "gzip", "dense"])
def test_a_file_that_is_cut_while_it_is_read(files, name):
    collection = open_collection(files[name], num_threads=2)
    collection.read(np.arange(60))
    os.truncate(files[name], 3000)
    with pytest.raises(DamagedFileError, match=r"\.h5ad was replaced or changed"):
        collection.read(np.arange(60))


def test_codes_outside_the_categories_are_refused(files):
    with h5py.File(files["plain"], "a") as h5:
        h5["obs/type/codes"][7] = 3
    refused(files["plain"], "obs/type cannot be read")


def test_a_size_that_takes_more_memory_than_there_is_is_damage():
    with (
        pytest.raises(DamagedFileError, match=r"a\.zarr: obs takes more memory than there is .*31\.9 GiB.*damaged"),
        reading("a.zarr", "obs"),
    ):
        raise MemoryError("Unable to allocate 31.9 GiB")  # noqa: EM101, TRY003 as numpy says it
