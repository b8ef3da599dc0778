"""Filters that come to HDF5 as plugins: decoded here as the plugins do, and held to what a chunk may take."""

import operator
import struct
import sys

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import DTYPES, PLUGINS, any_values, same_bits
from tests.children import output_of
from tests.examples import examples

from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.codecs import compressors
from scdataset.engine.codecs.decoding import decode
from scdataset.engine.containers import hdf5, hdf5_filters
from scdataset.engine.containers.fallback import LibraryChunks
from scdataset.engine.containers.hdf5 import H5File, arrays_of, chunk_index_of
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError, MissingDependencyError

plugin = pytest.importorskip("hdf5plugin")
pytest.importorskip("numcodecs")

MANY = settings(
    max_examples=examples(250), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def write(path, values, filters, chunk):
    with h5py.File(path, "w") as h5:
        h5.create_dataset("x", data=values, chunks=chunk, **PLUGINS[filters])
    return H5File(str(path))


def read_whole(file, size):
    (elements,) = arrays_of(file, "x")
    assert not isinstance(elements._chunks, LibraryChunks)
    out = np.empty(size, elements.dtype)
    Threads(2).run(operator.call, elements.tasks(Spans(*np.array([[0], [size], [0]])), out, ANY, 4))
    return out


@MANY
@given(
    filters=st.sampled_from(list(PLUGINS)),
    dtype=st.sampled_from(DTYPES),
    size=st.integers(1, 700),
    chunk=st.integers(1, 700),
    random=st.booleans(),
    seed=st.integers(0, 99),
)
def test_they_are_decoded_as_the_plugins_do(tmp_path, filters, dtype, size, chunk, random, seed):
    rng = np.random.default_rng(seed)
    values = any_values(rng, size, dtype)
    if random and values.dtype.kind != "b":  # which does not shrink, so that filters leave it as it is
        values = np.frombuffer(rng.bytes(size * values.itemsize), dtype)
    file = write(tmp_path / "m.h5", values, filters, min(chunk, size))
    assert same_bits(read_whole(file, size), file.h5["x"][:])
    file.close()


@pytest.mark.parametrize("filters", list(PLUGINS))
@pytest.mark.parametrize("dtype", ["f4", "u2"])
def test_chunks_of_the_size_that_people_have(tmp_path, filters, dtype):
    values = any_values(np.random.default_rng(0), 70_001, dtype)
    file = write(tmp_path / "m.h5", values, filters, 30_360)
    assert same_bits(read_whole(file, 70_001), file.h5["x"][:])


def test_dense_tiles(tmp_path):
    values = any_values(np.random.default_rng(0), (40, 30), "f4")
    for number, options in enumerate(PLUGINS.values()):
        with h5py.File(tmp_path / f"{number}.h5", "w") as h5:
            h5.create_dataset("x", data=values, chunks=(7, 11), **options)
        matrix = hdf5.dense_matrix(H5File(str(tmp_path / f"{number}.h5")), "x")
        assert same_bits(matrix.read(np.arange(40), ReadContext(Threads(1))), values)


READS = """
import sys
import numpy as np
from scdataset.engine.containers.hdf5 import H5File, arrays_of
(elements,) = arrays_of(H5File(sys.argv[1]), "x")
found = np.concatenate([elements._chunks.piece(i) for i in range(10)])
assert "hdf5plugin" not in sys.modules
assert (found == np.arange(200) // 7).all()
"""


@pytest.mark.parametrize("filters", ["blosc", "zstd", "lz4", "bits lz4"])
def test_they_are_read_where_the_plugins_are_not_installed(tmp_path, filters):
    write(tmp_path / "m.h5", (np.arange(200) // 7).astype("f4"), filters, (20,)).close()
    output_of(READS, tmp_path / "m.h5")


def test_other_filters_go_through_h5py(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        h5.create_dataset("x", data=np.arange(100), chunks=(10,), **plugin.Blosc2())
    (elements,) = arrays_of(H5File(str(tmp_path / "m.h5")), "x")
    assert isinstance(elements._chunks, LibraryChunks)
    assert elements._chunks.piece(3).tolist() == list(range(30, 40))


def test_without_numcodecs_it_is_h5py_or_an_error_that_says_what_to_install(tmp_path, monkeypatch):
    file = write(tmp_path / "m.h5", np.arange(100), "zstd", (10,))
    monkeypatch.setattr(hdf5_filters, "_NO_NUMCODECS", True)
    assert chunk_index_of(file, "x").table is None
    monkeypatch.setattr(hdf5.h5py.h5z, "filter_avail", lambda code: False)
    (elements,) = arrays_of(file, "x")
    compressors._numcodecs.cache_clear()
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        elements._chunks.piece(0)
    compressors._numcodecs.cache_clear()


def chunk_of(filters, size=2000, dtype="f4"):
    """Return the stored bytes of a chunk, its filters and its bytes when decoded."""
    with h5py.File("memory", "w", driver="core", backing_store=False) as h5:
        values = any_values(np.random.default_rng(0), size, dtype)
        dataset = h5.create_dataset("x", data=values, chunks=(size,), **PLUGINS[filters])
        stored = dataset.id.read_direct_chunk((0,))[1]
        return stored, hdf5.filters_of(dataset.id.get_create_plist()), values


def tried(stored, filters, values):
    """Decode a damaged chunk: what it should be, something of the right size, or an error of ours."""
    try:
        found = decode(bytes(stored), filters, 0, values.dtype, values.nbytes)
    except DamagedFileError:
        return
    assert found.size == values.size


@settings(max_examples=examples(600))
@given(
    filters=st.sampled_from(list(PLUGINS)),
    how=st.sampled_from(["cut", "bit", "bytes", "noise", "header"]),
    seed=st.integers(0, 10**6),
)
def test_a_damaged_chunk_is_an_error_or_of_the_right_size(filters, how, seed):
    good, chain, values = chunk_of(filters)
    rng = np.random.default_rng(seed)
    stored = bytearray(good)
    at = int(rng.integers(len(stored)))
    if how == "cut":
        del stored[at:]
    elif how == "bit":
        stored[at] ^= 1 << int(rng.integers(8))
    elif how == "bytes":
        stored[at : at + 9] = rng.bytes(9)
    elif how == "noise":
        stored[:] = rng.bytes(len(stored))
    else:
        stored[: int(rng.integers(1, 17))] = rng.bytes(int(rng.integers(1, 17)))
    tried(stored, chain, values)


def test_a_chunk_that_claims_too_much_is_refused_before_memory_is_taken():
    huge = 2**40
    zstd = b"\x28\xb5\x2f\xfd\xe0" + huge.to_bytes(8, "little") + bytes(9)
    claims = {
        "zstd": zstd,
        "lz4": struct.pack(">QI", huge, 2**30) + bytes(40),
        "bits lz4": struct.pack(">QI", huge, 8192) + bytes(40),
        "bits zstd": struct.pack(">QI", 8000, 4000 * 8) + struct.pack(">I", len(zstd)) + zstd,
        "blosc": b"\x02\x01\x21\x04" + (2**31 - 1).to_bytes(4, "little") * 2 + (56).to_bytes(4, "little") + bytes(40),
    }
    for name, stored in claims.items():
        _, chain, values = chunk_of(name)
        chain = [link for link in chain if link[0] != "fletcher32"]
        with pytest.raises(DamagedFileError, match="claims"):
            decode(stored, tuple(chain), 0, values.dtype, values.nbytes)


def test_zstd_that_does_not_say_its_size():
    """One frame of one block of nine bytes that are stored as they are: RFC 8878."""
    frame = b"\x28\xb5\x2f\xfd\x00\x00" + (1 | 9 << 3).to_bytes(3, "little") + b"ninebytes"
    assert decode(frame, (("zstd", ()),), 0, np.dtype("u1"), 9).tobytes() == b"ninebytes"
    with pytest.raises(DamagedFileError):
        decode(frame, (("zstd", ()),), 0, np.dtype("u1"), 8)


@pytest.mark.parametrize(
    "options", [(), (0, 4), (0, 4, 0, 0, 0), (0, 4, 3, 5, 0), (0, 4, 4, 0, 9), (0, 4, 2**32 - 1, 0, 2)]
)
def test_options_of_bitshuffle_that_make_no_sense(options):
    with pytest.raises(DamagedFileError):
        decode(bytes(80), (("bitshuffle", options),), 0, np.dtype("f4"), 80)
