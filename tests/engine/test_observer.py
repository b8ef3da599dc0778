"""Counts of reads: what a count by hand of chunks and bytes gives, by every path."""

import multiprocessing
import pickle
import threading

import h5py
import numpy as np
import pyarrow as pa
import pytest
import zarr
from tests.engine.bytes.distant import DistantBytes
from tests.engine.matrices.test_select import random_csr, table_of

from scdataset import open_collection
from scdataset.engine.arrays import many_files, stored_arrays
from scdataset.engine.containers import hdf5
from scdataset.engine.containers.hdf5 import H5File
from scdataset.engine.containers.zarr import ZarrStore, csr_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices import select, select_many
from scdataset.engine.matrices.stack import Stack
from scdataset.engine.observer import DECODE, READ, Observer, ReadCounts, observed, observer_here, observing
from scdataset.engine.threads import Threads

ROWS = np.array([11, 3, 4, 25])
SHAPE = 40, 30
MATRIX = random_csr(np.random.default_rng(0), SHAPE)
DENSE = MATRIX.toarray()


@pytest.fixture(autouse=True)
def _no_gaps(monkeypatch):
    """Read no bytes between rows, so that those of rows are all."""
    for module in (stored_arrays, many_files, select, select_many):
        monkeypatch.setattr(module, "GAP_BYTES", 0)


def counts_of(*matrices, rows=ROWS, threads=2):
    stack = Stack(matrices)
    with observing(Observer()) as observer:
        read = stack.read(rows, ReadContext(Threads(threads)))
    counted = observer.reads()
    assert (counted.reads, counted.rows) == (1, rows.size)
    arrays = [read] if isinstance(read, np.ndarray) else [read.data, read.indices, read.indptr]
    assert counted.result_bytes == sum(array.nbytes for array in arrays)
    return counted


def write(path, matrix=MATRIX, **options):
    with h5py.File(path, "w") as file:
        for name in ("data", "indices", "indptr"):
            file.create_dataset(f"X/{name}", data=getattr(matrix, name), **(options if name != "indptr" else {}))
        file.create_dataset("dense", data=matrix.toarray(), **({**options, "chunks": (8, 30)} if options else {}))
    return str(path)


def sparse(file, **options):
    return hdf5.csr_matrix(file if not isinstance(file, str) else H5File(file), "X", SHAPE, **options)


def touched(rows, chunk, matrix=MATRIX):
    """Return the chunks that hold elements of rows."""
    spans = [np.arange(matrix.indptr[row], matrix.indptr[row + 1]) for row in rows]
    return np.unique(np.concatenate(spans) // chunk)


def stored_sizes(path, names, chunks):
    """Return the stored bytes of some chunks of each dataset, as HDF5 itself tells them."""
    with h5py.File(path) as file:
        places = [(chunk, *[0] * (file[name].ndim - 1)) for name in names[:1] for chunk in chunks]
        return [
            file[name].id.get_chunk_info_by_coord((place[0] * file[name].chunks[0], *place[1:])).size
            for name in names
            for place in places
        ]


N_ELEMENTS = int(np.diff(MATRIX.indptr)[ROWS].sum())
ITEM = MATRIX.data.itemsize + MATRIX.indices.itemsize


def test_plain_rows_are_read_to_the_byte(tmp_path):
    counted = counts_of(sparse(write(tmp_path / "a.h5")))
    assert (counted.bytes, counted.chunks) == (N_ELEMENTS * ITEM, 0)
    assert counts_of(sparse(write(tmp_path / "b.h5")), threads=1).requests == 3 * 2  # rows 3 and 4 are one run


def test_bytes_between_rows_that_are_read_along_count(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_arrays, "GAP_BYTES", 1 << 20)
    counted = counts_of(sparse(write(tmp_path / "a.h5")), threads=1)
    assert counted.bytes == (MATRIX.indptr[26] - MATRIX.indptr[3]) * ITEM
    assert counted.requests == 2


def test_plain_chunks_that_are_apart_take_a_request_each(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = [file.create_dataset(f"X/{name}", MATRIX.data.shape, kind, chunks=(64,)) for name, kind in
                (("data", "f4"), ("indices", "i4"))]  # fmt: skip
        for start in range(0, MATRIX.nnz, 64):  # one after the other, so that chunks of both alternate
            for dataset, values in zip(made, (MATRIX.data, MATRIX.indices), strict=True):
                part = np.zeros(64, values.dtype)
                part[: values[start : start + 64].size] = values[start : start + 64]
                dataset.id.write_direct_chunk((start,), part.tobytes())
        file["X/indptr"] = MATRIX.indptr
        n_chunks = made[0].id.get_num_chunks()
    every = np.arange(SHAPE[0])
    counted = counts_of(sparse(str(tmp_path / "a.h5")), rows=every, threads=1)
    assert counted.bytes == MATRIX.nnz * ITEM
    assert counted.requests == 2 * n_chunks


@pytest.mark.parametrize("threads", [1, 3])
def test_encoded_chunks_are_counted_once_each(tmp_path, threads):
    path = write(tmp_path / "a.h5", chunks=(32,), compression="gzip")
    chunks = touched(ROWS, 32)
    sizes = stored_sizes(path, ["X/data", "X/indices"], chunks)
    counted = counts_of(sparse(path), threads=threads)
    assert (counted.chunks, counted.requests, counted.bytes) == (len(sizes), len(sizes), sum(sizes))


def test_selected_columns_are_read_with_all_the_bytes_of_their_rows(tmp_path):
    table = table_of([3, 8], SHAPE[1])
    plain = counts_of(sparse(write(tmp_path / "a.h5")).remap(table, 2))
    assert plain.bytes == N_ELEMENTS * ITEM
    path = write(tmp_path / "b.h5", chunks=(32,), compression="gzip")
    assert counts_of(sparse(path).remap(table, 2)).chunks == 2 * touched(ROWS, 32).size


def test_dense_rows_count_plain_bytes_or_the_chunks_that_hold_them(tmp_path):
    plain = write(tmp_path / "a.h5")
    counted = counts_of(hdf5.dense_matrix(H5File(plain), "dense"))
    assert (counted.bytes, counted.chunks) == (DENSE[ROWS].nbytes, 0)
    encoded = write(tmp_path / "b.h5", chunks=(32,), compression="gzip")
    sizes = stored_sizes(encoded, ["dense"], np.unique(ROWS // 8))
    counted = counts_of(hdf5.dense_matrix(H5File(encoded), "dense"))
    assert (counted.chunks, counted.bytes) == (len(sizes), sum(sizes))


def test_a_chunk_that_was_never_written_is_neither_read_nor_decoded(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("dense", SHAPE, "f4", chunks=(8, 30), compression="gzip")[:8] = DENSE[:8]
    counted = counts_of(hdf5.dense_matrix(H5File(str(tmp_path / "a.h5")), "dense"))
    assert (counted.chunks, counted.requests) == (1, 1)  # of rows 3 and 4


def test_many_files_count_as_one_file_each(tmp_path):
    matrices = [sparse(write(tmp_path / f"{number}.h5")) for number in range(10)]
    rows = np.concatenate([ROWS + number * SHAPE[0] for number in range(10)])
    assert counts_of(*matrices, rows=rows).bytes == 10 * N_ELEMENTS * ITEM
    few = [matrix.remap(table_of([3, 8], SHAPE[1]), 2) for matrix in matrices]
    assert counts_of(*few, rows=rows).bytes == 10 * N_ELEMENTS * ITEM


def test_half_floats_count_as_they_are_stored(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X/data"], file["X/indices"] = MATRIX.data.astype("f2"), MATRIX.indices
        file["X/indptr"] = MATRIX.indptr
    assert counts_of(sparse(str(tmp_path / "a.h5"))).bytes == N_ELEMENTS * (2 + MATRIX.indices.itemsize)


def test_ranges_of_a_source_without_a_descriptor(tmp_path):
    source = DistantBytes(write(tmp_path / "a.h5"))
    matrix = sparse(H5File(source))
    counted = counts_of(matrix, threads=1)
    assert (counted.bytes, counted.requests) == (N_ELEMENTS * ITEM, 3 * 2)


def test_chunks_that_only_the_library_reads(tmp_path):
    path = write(tmp_path / "a.h5", chunks=(32,), compression="gzip")
    counted = counts_of(sparse(path, fallback=True))
    assert counted.chunks == counted.requests > 0
    assert counted.bytes >= N_ELEMENTS * ITEM


def counts_of_cells(cells):
    with observing(Observer()) as observer:
        cells.read(ROWS)
    return observer.reads()


def test_lists_of_arrow_count_the_bytes_of_their_values(tmp_path):
    lists = {"genes": MATRIX.indices.astype("i8"), "expressions": MATRIX.data}
    offsets = pa.array(MATRIX.indptr.astype("i4"))
    table = pa.table({name: pa.ListArray.from_arrays(offsets, pa.array(part)) for name, part in lists.items()})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with open_collection(tmp_path / "a.arrow", gene_table=SHAPE[1]) as cells:
        assert counts_of_cells(cells).bytes == N_ELEMENTS * (8 + MATRIX.data.itemsize)


def test_tiles_of_a_transposed_matrix(tmp_path):
    with h5py.File(tmp_path / "a.loom", "w") as file:
        stored = file.create_dataset("matrix", data=DENSE.T, chunks=(16, 8), compression="gzip")
        tiles = [(genes, cells) for genes in (0, 16) for cells in np.unique(ROWS // 8) * 8]
        sizes = [stored.id.get_chunk_info_by_coord(tile).size for tile in tiles]
        file["row_attrs/Gene"] = np.array([f"gene{i}" for i in range(SHAPE[1])], "S")
        file["col_attrs/CellID"] = np.array([f"cell{i}" for i in range(SHAPE[0])], "S")
    with open_collection(tmp_path / "a.loom") as cells:
        counted = counts_of_cells(cells)
    assert (counted.chunks, counted.bytes) == (len(sizes), sum(sizes))


def zarr_store(path, **options):
    group = zarr.open_group(str(path), mode="w", zarr_format=3).create_group("X")
    for name in ("data", "indices", "indptr"):
        values = getattr(MATRIX, name)
        group.create_array(name, data=values, **(options if name != "indptr" else {}))
    return csr_matrix(ZarrStore(str(path)), "X", SHAPE)


def test_files_of_zarr_chunks(tmp_path):
    counted = counts_of(zarr_store(tmp_path / "a.zarr", chunks=(32,)))
    chunks = touched(ROWS, 32)
    files = [tmp_path / "a.zarr" / "X" / name / "c" / str(chunk) for name in ("data", "indices") for chunk in chunks]
    assert counted.chunks == counted.requests == len(files)
    assert counted.bytes == sum(file.stat().st_size for file in files)


def test_chunks_in_a_shard_count_with_its_index_once(tmp_path):
    matrix = zarr_store(tmp_path / "a.zarr", chunks=(32,), shards=(32 * 64,))
    n_chunks = 2 * touched(ROWS, 32).size
    first, second = (counts_of(matrix, threads=1) for _ in range(2))
    assert first.chunks == second.chunks == second.requests == n_chunks
    assert first.bytes - second.bytes == 2 * (64 * 16 + 4)


def test_requests_to_an_object_store_and_blocks_that_came_before(tmp_path, monkeypatch):
    pytest.importorskip("obstore")
    from scdataset.engine.bytes.object_store import using_options
    from scdataset.engine.bytes.remote import RemoteFile
    from scdataset.testing.object_server import ObjectServer

    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path))
    content = np.random.default_rng(0).bytes(5_000_000)
    with ObjectServer({"a.bin": content}) as server, using_options(server.options):
        source = RemoteFile(server.s3("a.bin"))
        asked = len(server.requests)
        with observing(Observer()) as observer:
            assert source.read(4_000_000, 10) == content[4_000_000:4_000_010]
            first = observer.reads()
            source.read(4_000_000, 10)
        assert (first.fetches, len(server.requests) - asked) == (1, 1)
        assert 10 <= first.fetched_bytes < 5_000_000
        assert observer.reads().fetches == 1


def test_phases_are_told_apart_and_those_inside_others_subtracted():
    times = iter([0.0, 1.0, 4.0, 10.0])
    observer = Observer(lambda: next(times))
    with observer.timed(READ), observer.timed(DECODE):
        pass
    assert observer.seconds() == {READ: 7.0, DECODE: 3.0}


def test_seconds_of_threads_are_summed(tmp_path):
    observer = Observer(_Ticks())
    both = threading.Barrier(2)

    def work(_):
        with observed(DECODE):
            both.wait()

    with observing(observer):
        Threads(2).run(work, [(0,), (1,)])
    assert observer.reads().decode_seconds >= 2


class _Ticks:
    """A clock that goes on by one whenever it is read."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1
        return float(self.now)


def test_no_clock_is_read_and_nothing_counted_where_nobody_observes(tmp_path):
    matrix = sparse(write(tmp_path / "a.h5", chunks=(32,), compression="gzip"))
    observer = Observer(_Ticks())
    with observing(observer):
        pass
    Stack([matrix]).read(ROWS, ReadContext(Threads(2)))
    assert observer_here() is None
    assert observer.clock.now == 0
    assert observer.reads() == ReadCounts()


def test_two_readers_of_one_collection_are_told_apart(tmp_path):
    matrix = sparse(write(tmp_path / "a.h5"))
    first, second = counts_of(matrix), counts_of(matrix, rows=ROWS[:1])
    assert (first.rows, second.rows) == (4, 1)


def test_counts_from_many_threads_are_exact():
    observer = Observer()

    def work(_):
        for _ in range(2000):
            observer.count(bytes=1)

    Threads(4).run(work, [(number,) for number in range(8)])
    assert observer.reads().bytes == 16000


def test_a_process_begins_anew():
    observer = Observer()
    observer.count(bytes=5)
    assert pickle.loads(pickle.dumps(observer)).reads() == ReadCounts()
    child = multiprocessing.get_context("fork").Process(target=_exit_unless_new, args=(observer,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert observer.reads().bytes == 5


def _exit_unless_new(observer):
    raise SystemExit(observer.reads() != ReadCounts())
