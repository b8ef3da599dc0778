"""Chunks of blosc and zstd: the compiled loop reads what the library reads, and leaves the rest to it."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import zarr
from tests.examples import rare

from scdataset.engine.arrays import encoded_chunks
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


def blosc(cname, shuffle):
    return lambda item: zarr.codecs.BloscCodec(typesize=item, cname=cname, clevel=5, shuffle=shuffle)


CODECS = {
    f"{name}, {shuffle}": blosc(name, shuffle)
    for name in ("lz4", "lz4hc", "zstd", "zlib", "blosclz")
    for shuffle in ("shuffle", "bitshuffle", "noshuffle")
}
CODECS["zstd alone"] = lambda _: zarr.codecs.ZstdCodec(level=3)


def write(path, matrix=COUNTS, codec="lz4, shuffle"):
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for name in ("data", "indices"):
        values = getattr(matrix, name)
        made = group.create_array(
            f"X/{name}", shape=values.shape, dtype=values.dtype, chunks=(512,), shards=(4096,), fill_value=0,
            compressors=CODECS[codec](values.itemsize),
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


FEW = ["lz4, shuffle", "lz4hc, bitshuffle", "zstd, noshuffle", "zstd alone"]


@pytest.mark.parametrize("codec", [*FEW, *rare(*(codec for codec in CODECS if codec not in FEW))])
@pytest.mark.parametrize("matrix", [COUNTS, RANDOM], ids=["counts", "incompressible"])
def test_rows_are_those_of_the_library(tmp_path, codec, matrix, request):
    path = write(tmp_path / "a.zarr", matrix, codec)
    fallback = opened(path, fallback=True)
    expected = [read(fallback, rows) for rows in ROWS]
    fast = opened(path)
    request.getfixturevalue("never_piece")
    for rows, values in zip(ROWS, expected, strict=True):
        assert np.array_equal(read(fast, rows, threads=2), values)


def test_the_library_decodes_where_its_function_cannot_be_called(tmp_path, monkeypatch):
    path = write(tmp_path / "a.zarr")
    monkeypatch.setattr(encoded_chunks, "decoding_function", lambda _: None)
    assert np.array_equal(read(opened(path), ROWS[1]), COUNTS.toarray()[ROWS[1]])


def test_chunks_that_were_never_written_have_the_fill_value(tmp_path):
    empty = COUNTS.copy()
    empty.data[1024:1536] = 0  # zarr writes no such chunk
    path = write(tmp_path / "a.zarr", empty)
    assert np.array_equal(read(opened(path), ROWS[1]), empty.toarray()[ROWS[1]])


def test_the_same_is_counted(tmp_path, monkeypatch):
    path = write(tmp_path / "a.zarr")
    counts = []
    for function in (encoded_chunks.decoding_function, lambda _: None):
        monkeypatch.setattr(encoded_chunks, "decoding_function", function)
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


@pytest.mark.parametrize("name", ["blosc", "zstd"])
def test_numcodecs_has_the_functions(name):
    """Without them chunks are decoded one call each, which is slower."""
    assert encoded_chunks.decoder_of([(name, None)]) is not None
    assert encoded_chunks.decoder_of([("shuffle", (4,)), (name, None)]) is None


@pytest.mark.parametrize(("place", "value"), [(0, bytes(4)), (4, b"\xff"), (40, b"\xff" * 20)])
def test_damaged_frames_are_refused(tmp_path, place, value):
    path = write(tmp_path / "a.zarr", codec="zstd alone")
    changed(path, "indices", place, value)
    with pytest.raises(DamagedFileError, match=r"X/indices"):
        read(opened(path), ROWS[1])
