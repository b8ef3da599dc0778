"""Rows of sparse matrices in HDF5: the fast path gives what the fallback gives, and what h5py gives."""

import itertools
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.engine.stored import DTYPES, FILTERS, WHOLE, How, any_values, hows, same_bits, some_rows, store
from tests.examples import examples, often, rare

from scdataset.engine.arrays.chunked_arrays import ChunkedArray
from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.buffers import BufferPool
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import heaps
from scdataset.engine.containers.fallback import LibraryChunks
from scdataset.engine.containers.handles import handles_open
from scdataset.engine.containers.hdf5 import H5File, arrays_of, csr_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import CollectionError, DamagedFileError

FEW = settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
INDEX_TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"]
BUFFERS = BufferPool()
ONE, THREE = Threads(1), Threads(3)


def write(path, lengths, n_vars, data_type, index_type, data_how, index_how, *, seed=0, **options):
    """Write a CSR matrix; return its three arrays, as h5py reads them."""
    rng = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    size = int(indptr[-1])
    highest = min(n_vars, np.iinfo(index_type).max + 1)
    with h5py.File(path, "w", **options) as h5:
        group = h5.create_group("X")
        store(group, "data", any_values(rng, size, data_type), data_how, path.parent)
        store(group, "indices", rng.integers(0, highest, size).astype(index_type), index_how, path.parent, fill=0)
        group["indptr"] = indptr
    with h5py.File(path) as h5:
        return tuple(h5["X"][name][:] for name in ("data", "indices", "indptr"))


def expected_rows(arrays, rows):
    data, indices, indptr = arrays
    places = np.concatenate([np.arange(0), *(np.arange(indptr[row], indptr[row + 1]) for row in rows)])
    lengths = np.diff(indptr)[rows] if rows.size else np.arange(0)
    return data[places], indices[places].astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def check(path, arrays, n_vars, seed=0):
    n_rows = arrays[2].size - 1
    file = H5File(str(path))
    fast, fallback = (csr_matrix(file, "X", (n_rows, n_vars), fallback=fallback) for fallback in (False, True))
    for rows in some_rows(np.random.default_rng(seed), n_rows):
        expected = expected_rows(arrays, rows)
        for matrix, threads in ((fast, ONE), (fast, THREE), (fallback, ONE)):
            found = matrix.read(rows, ReadContext(threads, BUFFERS))
            assert found.shape == (rows.size, n_vars)
            assert same_bits(found.data, expected[0])
            assert same_bits(found.indices, expected[1])
            assert same_bits(found.indptr, expected[2])
        fast.announce(rows)
    file.close()
    return fast


lengths_of_rows = st.lists(st.one_of(st.just(0), st.integers(0, 60)), max_size=25)
chunk_sizes = st.one_of(st.integers(1, 70), st.just(1000))


@FEW
@given(
    lengths=lengths_of_rows,
    n_vars=st.sampled_from([1, 2, 100, 128, 129, 256, 300, 40_000, 70_000]),
    data_type=st.sampled_from([dtype for dtype in DTYPES if dtype != "e"]),
    index_type=st.sampled_from(INDEX_TYPES),
    data_how=hows(chunk_sizes, layouts=WHOLE),
    index_how=hows(chunk_sizes, layouts=WHOLE),
    latest=st.booleans(),
    user_block=st.sampled_from([0, 512]),
    seed=st.integers(0, 99),
)
@example([], 5, "f", "i4", How("chunked", "gzip", (4,)), How("contiguous", "none", (4,)), False, 0, 0)
@example([0, 0], 5, "f", "i4", How("chunked", "gzip", (4,)), How("chunked", "none", (4,)), False, 0, 0)
@example([500], 5, "f", "i4", How("chunked", "none", (7,)), How("chunked", "lzf", (9,)), True, 0, 0)
@example(
    [9] * 9, 300, "f", "i4", How("skipped filters", "gzip shuffle", (7,)), How("chunked", "none", (9,)), True, 0, 0
)
def test_the_fast_path_gives_what_h5py_gives(
    recycled, buffers, lengths, n_vars, data_type, index_type, data_how, index_how, latest, user_block, seed
):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.h5"
        options = {"libver": "latest"} if latest else {}
        if user_block:
            options["userblock_size"] = user_block
        arrays = write(path, lengths, n_vars, data_type, index_type, data_how, index_how, seed=seed, **options)
        check(path, arrays, n_vars, seed)


@pytest.mark.parametrize(
    ("layout", "filters"),
    often(itertools.product(WHOLE, FILTERS), lambda layout, filters: layout == "chunked" or filters == "gzip shuffle"),
)
def test_every_layout_with_every_filter(tmp_path, recycled, layout, filters):
    how = How(layout, filters, (13,))
    arrays = write(tmp_path / "m.h5", [3, 0, 50, 7, 1, 0, 12] * 3, 300, "f4", "i4", how, how)
    check(tmp_path / "m.h5", arrays, 300)


@pytest.mark.parametrize(
    ("dtype", "filters"),
    often(
        itertools.product([dtype for dtype in DTYPES if dtype != "e"], ["none", "gzip shuffle"]),
        lambda dtype, filters: dtype in {"f", ">i4", "?"} or (filters == "none" and dtype in {"b", "H", "l", "d"}),
    ),
)
def test_every_type_of_values_is_read_as_h5py_reads_it(tmp_path, dtype, filters):
    how = How("chunked", filters, (13,))
    check(tmp_path / "m.h5", write(tmp_path / "m.h5", [3, 0, 50, 7] * 3, 300, dtype, "i8", how, how), 300)


@pytest.mark.parametrize(
    ("layout", "filters", "kind"),
    [
        ("contiguous", "none", PlainArray),
        ("chunked", "none", PlainArray),
        ("chunked", "gzip", ChunkedArray),
        ("partly written", "none", ChunkedArray),
    ],
)
def test_common_layouts_are_read_by_the_engine_itself(tmp_path, layout, filters, kind):
    how = How(layout, filters, (13,))
    write(tmp_path / "m.h5", [30, 5], 300, "f4", "i4", how, how)
    (elements,) = arrays_of(H5File(str(tmp_path / "m.h5")), "X/data")
    assert type(elements) is kind
    assert not isinstance(getattr(elements, "_chunks", None), LibraryChunks)


def test_fletcher32_of_sums_that_are_multiples_of_65535(tmp_path):
    values = np.zeros(3000, ">u2")
    values[0::3], values[1::3], values[2::3] = 65535, 65534, 1
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        for number, size in enumerate((1, 3, 30, 3000)):
            part = values[:size].view("u1")
            h5.create_dataset(f"{number}", data=part, chunks=part.shape, fletcher32=True)
            h5.create_dataset(f"odd{number}", data=part[:-1], chunks=(part.size - 1,), fletcher32=True)
    file = H5File(str(tmp_path / "m.h5"))
    for name in file.h5:
        (elements,) = arrays_of(file, name)
        assert same_bits(elements._chunks.piece(0), file.h5[name][:])


def test_arrays_in_another_file_are_read_there(tmp_path):
    how = How("chunked", "none", (13,))
    arrays = write(tmp_path / "there.h5", [3, 0, 50, 7], 300, "f4", "i4", how, how)
    with h5py.File(tmp_path / "here.h5", "w") as h5:
        h5["padding"] = np.arange(1000)
        h5["X"] = h5py.ExternalLink("there.h5", "/X")
    check(tmp_path / "here.h5", arrays, 300)


def test_scipy_does_not_copy_what_was_read(tmp_path, recycled):
    how = How("contiguous", "none", ())
    write(tmp_path / "m.h5", [50] * 9, 300, "f4", "i4", how, how)
    handed_out = []

    class Watched(BufferPool):
        def empty(self, size, dtype):
            handed_out.append(super().empty(size, dtype))
            return handed_out[-1]

    found = csr_matrix(H5File(str(tmp_path / "m.h5")), "X", (9, 300)).read(np.arange(9), ReadContext(ONE, Watched()))
    assert np.shares_memory(found.data, handed_out[0])
    assert np.shares_memory(found.indices, handed_out[1])


@pytest.mark.parametrize("filters", ["none", "gzip", *rare("scaleoffset")])
def test_threads_read_one_matrix_at_the_same_time(tmp_path, recycled, filters):
    how = How("chunked", filters, (13,))
    arrays = write(tmp_path / "m.h5", [3, 0, 50, 7] * 20, 300, "i4", "i4", how, how)
    matrix = csr_matrix(H5File(str(tmp_path / "m.h5")), "X", (80, 300))
    wrong = []

    def reader(seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            rows = rng.integers(0, 80, 40)
            if not same_bits(matrix.read(rows, ReadContext(THREE, BUFFERS)).data, expected_rows(arrays, rows)[0]):
                wrong.append(seed)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(reader, range(4)))
    assert not wrong


def test_a_forked_process_reads_on(tmp_path):
    how = How("chunked", "gzip", (13,))
    arrays = write(tmp_path / "m.h5", [3, 0, 50, 7] * 20, 300, "i4", "i4", how, how)
    file = H5File(str(tmp_path / "m.h5"))
    matrices = [csr_matrix(file, "X", (80, 300), fallback=fallback) for fallback in (False, True)]
    rows = np.arange(80)
    for matrix in matrices:
        matrix.read(rows, ReadContext(THREE, BUFFERS))
    child = os.fork()
    if child == 0:
        right = all(same_bits(m.read(rows, ReadContext(THREE, BUFFERS)).data, arrays[0]) for m in matrices)
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert same_bits(matrices[1].read(rows, ReadContext(THREE, BUFFERS)).data, arrays[0])


@pytest.mark.parametrize("dtype", ["g", "F", "S4"])
def test_values_that_are_no_numbers_of_eight_bytes_are_refused(tmp_path, dtype):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        h5.create_dataset("X", data=np.zeros(4, dtype))
    with pytest.raises(CollectionError, match=r"m\.h5: X is of type"):
        arrays_of(H5File(str(tmp_path / "m.h5")), "X")


def test_a_name_that_is_no_array_is_refused(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        h5.create_group("X/data")
        h5["X/indices"] = 3
    file = H5File(str(tmp_path / "m.h5"))
    for name in ("X/data", "X/indices", "X/indptr"):
        with pytest.raises(DamagedFileError, match=rf"m\.h5: {name}"):
            file.dataset(name)


def test_an_array_is_opened_without_its_chunk_index(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("many", data=np.zeros(10_000), chunks=(1,))
        file.create_dataset("few", data=np.zeros(10_000), chunks=(10_000,))
    n_reads, readinto = [], heaps._Stream.readinto

    def counted(stream, buffer):
        n_reads[-1] += 1
        return readinto(stream, buffer)

    monkeypatch.setattr(heaps._Stream, "readinto", counted)
    for name in ("few", "many"):
        n_reads.append(0)
        with handles_open():
            H5File(LocalFile(str(tmp_path / "a.h5"))).dataset(name)
    assert 0 < n_reads[1] <= n_reads[0] + 5
