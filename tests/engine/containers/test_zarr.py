"""The engine over zarr stores: the fast path equals the fallback path and what was written, bit for bit."""

import itertools
import json
import multiprocessing
import pickle
import shutil
import struct
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")

from tests.children import output_of  # noqa: E402
from tests.examples import often, rare  # noqa: E402
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec  # noqa: E402
from zarr.codecs import numcodecs as extra  # noqa: E402

from scdataset.engine.arrays.chunked_arrays import ChunkedArray  # noqa: E402
from scdataset.engine.arrays.stored_arrays import PlainArray  # noqa: E402
from scdataset.engine.bytes import descriptors  # noqa: E402
from scdataset.engine.containers.fallback import LibraryChunks  # noqa: E402
from scdataset.engine.containers.zarr import ZarrStore, arrays_of, csr_matrix, dense_matrix  # noqa: E402
from scdataset.engine.context import ReadContext  # noqa: E402
from scdataset.engine.threads import Threads  # noqa: E402
from scdataset.errors import CollectionError, DamagedFileError  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:Numcodecs codecs are not in the Zarr", "ignore:Duplicate name", "ignore:.*does not have a Zarr V3"
)

V2_CODECS = {
    "none": None,
    "blosc": numcodecs.Blosc(),
    "blosc without shuffle": numcodecs.Blosc(cname="zstd", shuffle=0),
    "zstd": numcodecs.Zstd(),
    "zlib": numcodecs.Zlib(),
    "gzip": numcodecs.GZip(),
    "lz4": numcodecs.LZ4(),
    "unknown": numcodecs.BZ2(),
}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # zarr says of each of these that the specification does not name it
    LZ4, ZLIB, BZ2 = extra.LZ4(), extra.Zlib(), extra.BZ2()

V3_CODECS = {
    "none": [],
    "blosc": BloscCodec(cname="lz4"),
    "zstd": ZstdCodec(),
    "zstd, checked": ZstdCodec(checksum=True),
    "gzip": GzipCodec(),
    "lz4": LZ4,
    "zlib": ZLIB,
    "two": [GzipCodec(), zarr.codecs.Crc32cCodec()],
    "unknown": BZ2,
}
DTYPES = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
DTYPES += ["float16", "float32", "float64", "bool"]
THREADS = Threads(2)


def matrix_of(rows=200, columns=90, dtype="float32", seed=0):
    """Return a CSR matrix with empty rows, the first and the last among them, and one that is full."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(0, 100, (rows, columns)) * (rng.random((rows, columns)) < 0.2)
    dense[[0, 5, 6, -1]] = 0
    dense[rows // 2] = np.arange(1, columns + 1)
    found = scipy.sparse.csr_matrix(dense)
    return scipy.sparse.csr_matrix((found.data.astype(dtype), found.indices, found.indptr), shape=found.shape)


def opened(path):
    return zarr.storage.ZipStore(path, mode="w") if str(path).endswith(".zip") else str(path)


def write_csr(path, matrix, layout, codec, *, chunk=101, index_dtype="int32"):
    """Write the three arrays of a CSR group, as a layout of `LAYOUTS`."""
    store = opened(path)
    group = zarr.create_group(store, zarr_format=2 if layout == "v2" else 3)
    for name in ("data", "indices", "indptr"):
        values = getattr(matrix, name)
        if name == "indices":
            values = values.astype(index_dtype)
        options = {"compressors": V2_CODECS[codec] if layout == "v2" else V3_CODECS[codec], "filters": None}
        if layout.startswith("sharded"):
            options["shards"] = {"shape": (chunk * 4,), "index_location": layout.removeprefix("sharded, index at ")}
        group.create_group("X", overwrite=False) if "X" not in group else None
        group["X"].create_array(name, data=values, chunks=(chunk,), **options)
    if not isinstance(store, str):
        store.close()
    return str(path)


def rows_of(matrix, rows):
    return matrix.read(np.asarray(rows, np.int64), ReadContext(THREADS))


def rows_in_memory(matrix, rows):
    """Take rows as they are: scipy sorts columns now and then, and cannot take rows of float16."""
    kept = np.concatenate([np.zeros(0, np.int64), *(np.arange(matrix.indptr[i], matrix.indptr[i + 1]) for i in rows)])
    indptr = np.concatenate([[0], np.cumsum([matrix.indptr[i + 1] - matrix.indptr[i] for i in rows])])
    return SimpleNamespace(data=matrix.data[kept], indices=matrix.indices[kept], indptr=indptr)


def assert_same_csr(found, expected):
    assert found.data.dtype == expected.data.dtype
    assert found.data.tobytes() == expected.data.tobytes()
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.indptr, expected.indptr)


def assert_reads(path, matrix, group="X"):
    rng = np.random.default_rng(1)
    store = ZarrStore(path)
    fast = csr_matrix(store, group, matrix.shape)
    fallback = csr_matrix(store, group, matrix.shape, fallback=True)
    n = matrix.shape[0]
    for rows in (np.arange(n), rng.integers(0, n, 3 * n), [n - 1], [0], [], rng.permutation(n)[: n // 3]):
        expected = rows_in_memory(matrix, rows)
        fast.announce(np.asarray(rows, np.int64))
        assert_same_csr(rows_of(fast, rows), expected)
        assert_same_csr(rows_of(fallback, rows), expected)
    fast.close()
    assert_same_csr(rows_of(fast, [n - 1, 0]), rows_in_memory(matrix, [n - 1, 0]))
    store.close()
    return fast


LAYOUTS = ["v2", "v3", "sharded, index at end", "sharded, index at start"]


@pytest.mark.parametrize(
    ("layout", "codec", "suffix"),
    often(
        [
            (layout, codec, suffix)
            for layout, suffix in itertools.product(LAYOUTS, ["zarr", "zarr.zip"])
            for codec in (V2_CODECS if layout == "v2" else V3_CODECS)
            if layout in {"v2", "sharded, index at end"} or codec in {"none", "zstd"}
            if suffix == "zarr" or codec in {"none", "blosc", "unknown"}
        ],
        lambda layout, codec, suffix: codec in {"none", "blosc", "unknown"} or layout == "v3",
    ),
)
def test_sparse_rows_are_what_was_written(tmp_path, layout, codec, suffix):
    matrix = matrix_of()
    found = assert_reads(write_csr(tmp_path / f"a.{suffix}", matrix, layout, codec), matrix)
    library = isinstance(getattr(found.data, "_chunks", None), LibraryChunks)
    assert library == (codec == "unknown")
    if suffix == "zarr.zip" and codec == "none":
        assert isinstance(found.data, PlainArray)


@pytest.mark.parametrize(
    ("layout", "dtype"),
    often(
        itertools.product(["v2", "sharded, index at end"], [dtype for dtype in DTYPES if dtype != "float16"]),
        lambda layout, dtype: layout == "v2" or dtype in {"uint8", "float64"},
    ),
)
def test_every_dtype_is_kept(tmp_path, layout, dtype):
    matrix = matrix_of(rows=40, dtype=dtype)
    assert_reads(write_csr(tmp_path / "a.zarr", matrix, layout, "blosc", index_dtype="int64"), matrix)


@pytest.mark.parametrize("index_dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_every_index_dtype_is_read(tmp_path, index_dtype):
    matrix = matrix_of(rows=40)
    assert_reads(write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd", index_dtype=index_dtype), matrix)


@pytest.mark.parametrize("chunk", [1, 5000, *rare(7, 90)])
@pytest.mark.parametrize("layout", ["v2", "sharded, index at end"])
@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_chunks_smaller_than_a_row_and_larger_than_the_array(tmp_path, chunk, layout, codec):
    matrix = matrix_of(rows=8, columns=30)
    found = assert_reads(write_csr(tmp_path / "a.zarr", matrix, layout, codec, chunk=chunk), matrix)
    if chunk == 5000 and codec == "none":
        assert isinstance(found.data, PlainArray)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_row_and_no_elements(tmp_path, layout):
    one = scipy.sparse.csr_matrix(np.array([[0, 3.5, 0, 1]], np.float32))
    assert_reads(write_csr(tmp_path / "one.zarr", one, layout, "zstd"), one)
    empty = scipy.sparse.csr_matrix((3, 4), dtype=np.float32)
    path = write_csr(tmp_path / "empty.zarr", empty, layout, "zstd")
    found = csr_matrix(ZarrStore(path), "X", (3, 4))
    assert_same_csr(rows_of(found, [2, 0]), rows_in_memory(empty, [2, 0]))


def test_unsorted_columns_stay_as_they_are_stored(tmp_path):
    matrix = scipy.sparse.csr_matrix((np.arange(4.0), [3, 1, 0, 2], [0, 2, 4]), shape=(2, 5))
    found = assert_reads(write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd"), matrix)
    assert rows_of(found, [0]).indices.tolist() == [3, 1]


# Dense matrices


def dense_cases():
    v3 = {"plain": [], "zstd": ZstdCodec(), "blosc": BloscCodec()}
    for (name, codec), shape in itertools.product(v3.items(), [(8, 21), (8, 6), (1, 5), (50, 50)]):
        yield f"v3 {name} {shape}", {"chunks": shape, "compressors": codec}
        yield (
            f"v2 {name} {shape}",
            {"chunks": shape, "compressors": V2_CODECS["none" if name == "plain" else name], "zarr_format": 2},
        )
        if shape != (50, 50):
            shards = (shape[0] * 2, shape[1] * 3)
            yield f"sharded {name} {shape}", {"chunks": shape, "shards": shards, "compressors": codec}
    yield "big-endian v3", {"chunks": (8, 6), "serializer": BytesCodec(endian="big")}
    yield "big-endian v2", {"chunks": (8, 6), "zarr_format": 2, "dtype": ">f4"}
    yield "columns first v2", {"chunks": (8, 6), "zarr_format": 2, "order": "F"}
    yield "transposed v3", {"chunks": (8, 6), "filters": [TransposeCodec(order=(1, 0))]}
    yield "nested shards", {"chunks": (16, 12), "serializer": ShardingCodec(chunk_shape=(8, 6)), "compressors": []}
    yield "keys with dots", {"chunks": (8, 6), "chunk_key_encoding": {"name": "v2", "separator": "."}}
    yield (
        "keys with slashes v2",
        {"chunks": (8, 6), "zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    )
    yield "delta filter v2", {"chunks": (8, 6), "zarr_format": 2, "filters": [numcodecs.Delta("f4")]}


DENSE = dict(dense_cases())


@pytest.mark.parametrize(
    ("case", "suffix"),
    often(
        [(case, "zarr") for case in DENSE] + [(case, "zarr.zip") for case in DENSE if "plain" in case],
        lambda case, suffix: "(" not in case or ("(8, 6)" if suffix == "zarr" else "(8, 21)") in case,
    ),
)
def test_dense_rows_are_what_was_written(tmp_path, case, suffix):
    options = {"dtype": "f4", "filters": None, **DENSE[case]}
    values = np.random.default_rng(3).integers(-100, 100, size=(43, 21)).astype("f4")  # the delta filter rounds
    store = opened(tmp_path / f"a.{suffix}")
    group = zarr.create_group(store, zarr_format=options.pop("zarr_format", 3))
    group.create_array("X", shape=values.shape, **options)[:] = values
    if suffix == "zarr.zip":
        store.close()
    opened_again = ZarrStore(str(tmp_path / f"a.{suffix}"))
    rng = np.random.default_rng(4)
    for fallback in (False, True):
        found = dense_matrix(opened_again, "X", fallback=fallback)
        for rows in (np.arange(43), rng.integers(0, 43, 100), np.array([42]), np.zeros(0, np.int64)):
            found.announce(rows)
            read = rows_of(found, rows)
            assert read.dtype == values.dtype
            assert read.tobytes() == values[rows].tobytes()


@pytest.mark.parametrize(("dtype", "fill"), [("f4", np.nan), ("f8", -np.inf), ("i4", -7), ("u1", 200), ("bool", True)])
@pytest.mark.parametrize("layout", ["v2", "v3", "sharded"])
def test_chunks_that_were_never_written_have_the_fill_value(tmp_path, layout, dtype, fill):
    path = tmp_path / "a.zarr"
    group = zarr.create_group(str(path), zarr_format=2 if layout == "v2" else 3)
    shards = {"shards": (20, 5)} if layout == "sharded" else {}
    array = group.create_array("X", shape=(50, 5), chunks=(10, 5), dtype=dtype, fill_value=fill, **shards)
    array[10:20] = 1
    for fallback in (False, True):
        read = rows_of(dense_matrix(ZarrStore(str(path)), "X", fallback=fallback), np.arange(50))
        assert read.tobytes() == array[:].tobytes()


def test_a_fill_value_in_bits_is_read(tmp_path):
    zarr.create_group(str(tmp_path / "a.zarr")).create_array("X", shape=(4, 3), chunks=(2, 3), dtype="f4")
    file = tmp_path / "a.zarr" / "X" / "zarr.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "fill_value": "0x7fc00001"}))
    read = rows_of(dense_matrix(ZarrStore(str(tmp_path / "a.zarr")), "X"), [0])
    assert read.view(np.uint32).tolist() == [[0x7FC00001] * 3]


def test_members_that_the_zip_file_compresses_go_through_zarr(tmp_path):
    matrix = matrix_of(rows=30)
    folder = Path(write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd"))
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    found = assert_reads(str(tmp_path / "a.zarr.zip"), matrix)
    assert isinstance(found.data._chunks, LibraryChunks)


# Damage


def sharded(tmp_path, codec="zstd"):
    matrix = matrix_of()
    path = write_csr(tmp_path / "a.zarr", matrix, "sharded, index at end", codec)
    return matrix, path, Path(path) / "X" / "data" / "c" / "0"


def expect_damage(path, shape, *words):
    with pytest.raises(DamagedFileError) as caught:
        rows_of(csr_matrix(ZarrStore(path), "X", shape), np.arange(shape[0]))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("codec", ["none", "blosc", "zstd", "gzip", "lz4", "two"])
@pytest.mark.parametrize("layout", ["v2", "v3"])
def test_a_truncated_chunk_is_refused(tmp_path, layout, codec):
    if layout == "v2" and codec == "two":
        pytest.skip("version 2 has no crc32c of its own")
    matrix = matrix_of()
    path = write_csr(tmp_path / "a.zarr", matrix, layout, codec)
    chunk = Path(path) / "X" / "data" / ("3" if layout == "v2" else "c/3")
    content = chunk.read_bytes()
    for kept in (len(content) - 5, 20, 3, 0):
        chunk.write_bytes(content[:kept])
        expect_damage(path, matrix.shape, str(chunk), "X/data", "chunk (3, 0)")


@pytest.mark.parametrize("kept", [0, 3, 40, -1, -100])
def test_a_truncated_shard_is_refused(tmp_path, kept):
    matrix, path, shard = sharded(tmp_path)
    shard.write_bytes(shard.read_bytes()[:kept])
    expect_damage(path, matrix.shape, str(shard), "X/data", "index")


def test_a_shard_index_with_a_wrong_checksum_is_refused(tmp_path):
    matrix, path, shard = sharded(tmp_path)
    content = bytearray(shard.read_bytes())
    content[-10] ^= 1
    shard.write_bytes(content)
    expect_damage(path, matrix.shape, str(shard), "X/data", "index")


def test_a_shard_index_that_points_outside_its_shard_is_refused(tmp_path):
    matrix, path, shard = sharded(tmp_path)
    content = shard.read_bytes()
    table = np.frombuffer(content[-4 * 16 - 4 : -4], "<u8").copy()
    for place, value in ((0, 1 << 60), (1, 1 << 63), (0, (1 << 64) - 2)):
        wrong = table.copy()
        wrong[place] = value
        checksum = numcodecs.CRC32C().encode(wrong.tobytes())
        shard.write_bytes(content[: -4 * 16 - 4] + bytes(checksum))
        expect_damage(path, matrix.shape, str(shard), "X/data", "outside")


@pytest.mark.parametrize("codec", ["gzip", "two", "zstd, checked"])
def test_a_flipped_byte_under_a_checksum_is_refused(tmp_path, codec):
    matrix, path, shard = sharded(tmp_path, codec)
    content = bytearray(shard.read_bytes())
    content[20] ^= 0xFF
    shard.write_bytes(content)
    expect_damage(path, matrix.shape, str(shard), "X/data", "chunk (0, 0)")


def test_column_numbers_outside_the_matrix_are_refused(tmp_path):
    matrix = matrix_of()
    matrix.indices[100] = 90
    path = write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd")
    expect_damage(path, matrix.shape, "X/indices", "[0, 90)")
    matrix.indices[100] = -1
    path = write_csr(tmp_path / "b.zarr", matrix, "v3", "none")
    expect_damage(path, matrix.shape, "X/indices", "[0, 90)")


def test_arrays_that_contradict_each_other_are_refused(tmp_path):
    matrix = matrix_of()
    path = write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd")
    with pytest.raises(DamagedFileError, match="contradict"):
        csr_matrix(ZarrStore(path), "X", (199, 90))
    shutil.rmtree(tmp_path / "a.zarr" / "X" / "indptr" / "c")
    with pytest.raises(DamagedFileError, match="X/indptr has 0 at its start and 0 at its end"):
        csr_matrix(ZarrStore(path), "X", matrix.shape)


def test_a_missing_array_or_broken_metadata_is_refused(tmp_path):
    matrix = matrix_of()
    path = write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd")
    metadata = tmp_path / "a.zarr" / "X" / "data" / "zarr.json"
    metadata.write_text("{")
    with pytest.raises(DamagedFileError, match=r"X/data/zarr\.json is not zarr metadata"):
        csr_matrix(ZarrStore(path), "X", matrix.shape)
    metadata.write_text('{"zarr_format": 3, "node_type": "array"}')
    with pytest.raises(DamagedFileError, match="X/data"):
        csr_matrix(ZarrStore(path), "X", matrix.shape)
    metadata.unlink()
    with pytest.raises(DamagedFileError, match="there is no X/data"):
        csr_matrix(ZarrStore(path), "X", matrix.shape)


def test_a_store_that_vanished_is_not_taken_for_one_without_chunks(tmp_path):
    matrix = matrix_of()
    path = write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd")
    found = csr_matrix(ZarrStore(path), "X", matrix.shape)
    shutil.rmtree(path)
    with pytest.raises(DamagedFileError, match="vanished"):
        rows_of(found, [3])


def test_a_shard_that_was_replaced_is_refused(tmp_path):
    matrix, path, shard = sharded(tmp_path)
    found = csr_matrix(ZarrStore(path), "X", matrix.shape)
    rows_of(found, np.arange(200))
    found.close()
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[:100] + content)
    with pytest.raises(DamagedFileError, match="replaced or changed"):
        rows_of(found, np.arange(200))


def test_a_zip_file_whose_directory_lies_is_refused(tmp_path):
    matrix = matrix_of()
    path = write_csr(tmp_path / "a.zarr.zip", matrix, "v3", "zstd")
    content = bytearray(Path(path).read_bytes())
    name = b"X/data/zarr.json"
    entry = content.rindex(name) - 46  # the central directory's record of it
    content[entry + 42 : entry + 46] = struct.pack("<I", 1)
    Path(path).write_bytes(content)
    with pytest.raises(DamagedFileError, match="no member where its directory says"):
        csr_matrix(ZarrStore(path), "X", matrix.shape)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    matrix = matrix_of(dtype="complex64")
    path = write_csr(tmp_path / "a.zarr", matrix, "v3", "zstd")
    with pytest.raises(CollectionError, match="complex64"):
        csr_matrix(ZarrStore(path), "X", matrix.shape)


# Processes and descriptors


@pytest.mark.parametrize("suffix", ["zarr", "zarr.zip"])
@pytest.mark.parametrize("codec", ["zstd", "unknown"])
def test_forked_processes_read_their_own_files(tmp_path, suffix, codec):
    matrix = matrix_of()
    path = write_csr(tmp_path / f"a.{suffix}", matrix, "sharded, index at end", codec)
    found = csr_matrix(ZarrStore(path), "X", matrix.shape)
    found.read(np.arange(200), ReadContext(Threads(1)))
    copied = pickle.loads(pickle.dumps(found))
    assert_same_csr(rows_of(copied, [7, 3]), matrix[[7, 3]])
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=_forked, args=(found, queue))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert queue.get() == matrix.sum()


def _forked(matrix, queue):
    queue.put(float(matrix.read(np.arange(200), ReadContext(Threads(1))).sum()))


def test_another_process_reads_what_was_pickled(tmp_path):
    matrix = matrix_of()
    path = write_csr(tmp_path / "a.zarr", matrix, "sharded, index at end", "zstd")
    (tmp_path / "pickled").write_bytes(pickle.dumps(csr_matrix(ZarrStore(path), "X", matrix.shape)))
    code = (
        "import pickle, sys, numpy as np\n"
        "from scdataset.engine.context import ReadContext\n"
        "from scdataset.engine.threads import Threads\n"
        "matrix = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(float(matrix.read(np.arange(200), ReadContext(Threads(2))).sum()))\n"
    )
    assert float(output_of(code, tmp_path / "pickled")) == matrix.sum()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not list descriptors")
def test_few_of_many_shards_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(descriptors, "most_open", lambda: 30)
    matrix = matrix_of(rows=130)
    path = write_csr(tmp_path / "a.zarr", matrix, "sharded, index at end", "zstd", chunk=5)
    before = len(list(Path("/proc/self/fd").iterdir()))
    found = csr_matrix(ZarrStore(path), "X", matrix.shape)
    assert_same_csr(found.read(np.arange(130), ReadContext(Threads(1))), matrix)
    assert len(list((Path(path) / "X" / "data" / "c").iterdir())) > 90
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 32
    found.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_the_fallback_path_can_be_asked_for(tmp_path):
    path = write_csr(tmp_path / "a.zarr", matrix_of(), "v3", "zstd")
    [elements] = arrays_of(ZarrStore(path), "X/data", fallback=True)
    assert isinstance(elements, ChunkedArray)
    assert isinstance(elements._chunks, LibraryChunks)
