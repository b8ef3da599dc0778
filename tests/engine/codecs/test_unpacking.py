"""Chunks are held to the bytes that their elements take, whatever their compressors make of them."""

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from itertools import pairwise

import h5py
import numcodecs
import pyarrow as pa
import pytest

from scdataset.engine.codecs.compressors import zstd_size
from scdataset.engine.codecs.unpacking import UNBOUNDED, check_unpacked, unpacked
from scdataset.errors import DamagedFileError

ROOM, BOMB = 1 << 16, 1 << 24
PACKED = {
    "gzip": zlib.compress,
    "gzip_file": gzip.compress,
    "bzip2": bz2.compress,
    "lzma": lzma.compress,
    "zstd": numcodecs.Zstd().encode,
    "lz4": numcodecs.LZ4().encode,
    "blosc": numcodecs.Blosc().encode,
}


def zstd_without_size(content):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(("inner", "outer"), list(pairwise([*PACKED, *PACKED][: len(PACKED) + 1])))
def test_of_two_compressors_both_are_held_to_the_size_of_the_content(inner, outer):
    filters = ((inner, None), (outer, None))
    content = bytes(range(256)) * 4
    stored = PACKED[outer](PACKED[inner](content))
    check_unpacked(stored, filters, len(content))
    assert bytes(unpacked(stored, filters, len(content))) == content
    stored = PACKED[outer](PACKED[inner](bytes(BOMB)))
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, DamagedFileError), match=r"at most|can be"):
            unpacked(stored, filters, ROOM)
        assert tracemalloc.get_traced_memory()[1] < 12 << 20  # of which LZMA takes eight for itself
    finally:
        tracemalloc.stop()


def lzf_of(n_bytes):
    with h5py.File("a.h5", "w", driver="core", backing_store=False) as file:
        zeros = file.create_dataset("a", (n_bytes,), "u1", chunks=(n_bytes,), compression="lzf")
        zeros[:] = 0
        return zeros.id.read_direct_chunk((0,))[1]


def test_lzf_under_another_compressor_is_held_to_the_size_of_the_content(monkeypatch):
    filters = (("lzf", None), ("bzip2", None))
    check_unpacked(bz2.compress(lzf_of(ROOM)), filters, ROOM)
    assert len(unpacked(bz2.compress(lzf_of(ROOM)), filters, ROOM)) == ROOM
    with pytest.raises(ValueError, match="LZF stream is broken, or unpacks to more than 65,536 bytes"):
        check_unpacked(bz2.compress(lzf_of(ROOM * 50)), filters, ROOM)
    filters = (("lzf", None), ("szip", None))
    with pytest.raises(ValueError, match=rf"lzf under szip may unpack it to any size.*{UNBOUNDED}=1"):
        check_unpacked((99).to_bytes(4, "little"), filters, ROOM)
    monkeypatch.setenv(UNBOUNDED, "1")
    check_unpacked((99).to_bytes(4, "little"), filters, ROOM)


def test_frames_of_zstd_count_together_whether_they_say_their_size_or_not():
    said, silent = numcodecs.Zstd().encode(bytes(1000)), zstd_without_size(bytes(1000))
    skipped = bytes.fromhex("502a4d1803000000") + b"abc"
    assert zstd_size(memoryview(said + skipped + said)) == (2000, True)
    size, exact = zstd_size(memoryview(said + silent))
    assert size >= 2000
    assert not exact
    bomb = said + zstd_without_size(bytes(1 << 30))  # the first frame alone says that it is small
    with pytest.raises(ValueError, match=r"unpacks to 1,[\d,]{11} bytes or more"):
        check_unpacked(bomb, (("zstd", None),), ROOM)
    check_unpacked(said + silent, (("zstd", None),), 2000)


@pytest.mark.parametrize("name", ["bzip2", "lzma", "gzip", "zstd", "blosc"])
def test_what_is_no_stream_of_its_compressor_is_refused(name):
    with pytest.raises(ValueError, match=r"it is no stream|no zstd frame|blosc header"):
        unpacked(b"something else than that", ((name, None),), ROOM)


def test_a_dictionary_of_lzma_that_takes_gigabytes_is_refused():
    stored = lzma.compress(bytes(100), lzma.FORMAT_ALONE)
    stored = stored[:1] + (1 << 31).to_bytes(4, "little") + stored[5:]
    with pytest.raises(ValueError, match="Memory usage limit"):
        unpacked(stored, (("lzma", lzma.FORMAT_ALONE),), ROOM)


def test_a_codec_that_may_unpack_to_any_size_is_refused_unless_it_is_trusted(monkeypatch):
    for filters in ([("base64", None)], [("gzip", None), ("delta", None)], [("base64", None), ("gzip", None)]):
        with pytest.raises(ValueError, match=rf"{filters[0][0]} may unpack it to any size.*{UNBOUNDED}=1"):
            check_unpacked(b"", filters, ROOM)
    check_unpacked(b"", [("delta", None), ("gzip", None)], ROOM)
    monkeypatch.setenv(UNBOUNDED, "1")
    check_unpacked(b"", [("base64", None)], ROOM)


def test_filters_that_tell_their_size_by_options_are_held_to_it():
    check_unpacked(b"", [("sized", 1000), ("gzip", None)], ROOM)
    with pytest.raises(ValueError, match=r"unpacks to 70,000 bytes or more from 0, where at most 65,536 can be"):
        check_unpacked(b"", [("sized", 70_000), ("gzip", None)], ROOM)
