"""Chunks of blosc: the compiled loop reads what the library reads, and leaves the rest to it."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import zarr
from numcodecs.blosc import Blosc

from scdataset.engine.arrays import blosc_chunks
from scdataset.engine.containers.zarr import StoreChunks, ZarrStore, csr_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.observer import Observer, observing
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError

SHAPE = 90, 3000
RNG = np.random.default_rng(0)
COUNTS = sp.random(*SHAPE, 0.1, "csr", np.float32, RNG)
COUNTS.data = RNG.poisson(3, COUNTS.nnz).astype(np.uint8)
RANDOM = sp.csr_matrix((RNG.integers(0, 256, COUNTS.nnz).astype(np.uint8), COUNTS.indices, COUNTS.indptr), SHAPE)
ROWS = [np.arange(90), RNG.permutation(90), RNG.integers(0, 90, 200), np.array([3]), np.arange(0)]


def write(path, matrix=COUNTS, shards=4096, **codec):
    codec = {"typesize": 4, "cname": "lz4", "clevel": 5, "shuffle": "shuffle", **codec}
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for name in ("data", "indices"):
        values = getattr(matrix, name)
        made = group.create_array(
            f"X/{name}", shape=values.shape, dtype=values.dtype, chunks=(512,), shards=(shards,), fill_value=0,
            compressors=zarr.codecs.BloscCodec(**{**codec, "typesize": values.itemsize}),
        )  # fmt: skip
        made[:] = values
    group.create_array("X/indptr", data=matrix.indptr)
    return path


def opened(path, **options):
    return csr_matrix(ZarrStore(str(path)), "X", SHAPE, **options)


def read(matrix, rows, threads=1):
    parts = matrix.read(rows, ReadContext(Threads(threads)))
    return parts.toarray()


@pytest.fixture
def never_piece(monkeypatch):
    def piece(*_):
        pytest.fail("a chunk was not decoded by the compiled loop")

    monkeypatch.setattr(StoreChunks, "piece", piece)


@pytest.mark.parametrize("cname", ["lz4", "lz4hc", "zstd", "zlib", "blosclz"])
@pytest.mark.parametrize("shuffle", ["shuffle", "bitshuffle", "noshuffle"])
@pytest.mark.parametrize("matrix", [COUNTS, RANDOM], ids=["counts", "incompressible"])
def test_rows_are_those_of_the_library(tmp_path, cname, shuffle, matrix, request):
    path = write(tmp_path / "a.zarr", matrix, cname=cname, shuffle=shuffle)
    fallback = opened(path, fallback=True)
    expected = [read(fallback, rows) for rows in ROWS]
    fast = opened(path)
    request.getfixturevalue("never_piece")
    for rows, values in zip(ROWS, expected, strict=True):
        assert np.array_equal(read(fast, rows, threads=2), values)


def test_the_library_decodes_where_its_function_cannot_be_called(tmp_path, monkeypatch):
    path = write(tmp_path / "a.zarr")
    monkeypatch.setattr(blosc_chunks, "blosc_function", lambda: None)
    assert np.array_equal(read(opened(path), ROWS[1]), COUNTS.toarray()[ROWS[1]])


def test_chunks_that_were_never_written_have_the_fill_value(tmp_path):
    empty = COUNTS.copy()
    empty.data[1024:1536] = 0  # zarr writes no such chunk
    path = write(tmp_path / "a.zarr", empty)
    assert np.array_equal(read(opened(path), ROWS[1]), empty.toarray()[ROWS[1]])


def test_the_same_is_counted(tmp_path, monkeypatch):
    path = write(tmp_path / "a.zarr")
    counts = []
    for function in (blosc_chunks.blosc_function, lambda: None):
        monkeypatch.setattr(blosc_chunks, "blosc_function", function)
        matrix, observer = opened(path), Observer()
        with observing(observer):
            read(matrix, ROWS[1])
        counts.append({name: observer.counted()[name] for name in ("requests", "bytes", "chunks")})
        assert set(observer.seconds()) >= {"read", "decode", "scatter"}
    assert counts[0] == counts[1]


def shard(path, name):
    [found] = [file for file in (path / "X" / name / "c").iterdir() if file.name == "0"]
    return found


def changed(path, name, place, value):
    """Change bytes of the first chunk of an array, and leave the index of its shard as it is."""
    file = shard(path, name)
    content = bytearray(file.read_bytes())
    content[place : place + len(value)] = value
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(4, (2**31 - 1).to_bytes(4, "little"), id="more bytes than a chunk"),
        pytest.param(4, (512).to_bytes(4, "little"), id="fewer bytes than a chunk"),
        pytest.param(12, (2**31 - 1).to_bytes(4, "little"), id="longer than it is"),
        pytest.param(12, bytes(4), id="no bytes"),
        pytest.param(8, (0).to_bytes(4, "little"), id="blocks of no bytes"),
        pytest.param(0, b"\xff", id="another version"),
    ],
)
def test_damaged_chunks_are_refused(tmp_path, place, value):
    path = write(tmp_path / "a.zarr")
    changed(path, "indices", place, value)
    with pytest.raises(DamagedFileError, match=r"chunk \(0, 0\) of X/indices"):
        read(opened(path), ROWS[1])


def test_column_numbers_outside_the_matrix_are_refused(tmp_path):
    wrong = COUNTS.copy()
    wrong.indices[700] = SHAPE[1]
    path = write(tmp_path / "a.zarr", wrong)
    with pytest.raises(DamagedFileError, match=r"chunk 1 of X/indices has column numbers outside \[0, 3000\)"):
        read(opened(path), ROWS[1])


def test_a_shard_that_is_replaced_is_an_error(tmp_path):
    path = write(tmp_path / "a.zarr")
    matrix = opened(path)
    read(matrix, ROWS[1])
    file = shard(path, "data")
    other = Path(f"{file}.new")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    with pytest.raises(DamagedFileError):
        read(matrix, ROWS[1])


def test_blosc_has_the_function():
    """Without it chunks are decoded by the library, one call each, which is slower."""
    assert blosc_chunks.is_blosc([("blosc", None)])
    assert not blosc_chunks.is_blosc([("shuffle", (4,)), ("blosc", None)])
    assert len(Blosc("lz4", 5, 1).encode(bytes(1000))) < 1000
