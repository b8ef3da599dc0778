"""Filters that come to HDF5 as plugins: decoded here as the plugins do, and held to what a chunk may take."""

import operator
import sys

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.children import output_of
from tests.engine.stored import DTYPES, PLUGINS, any_values, same_bits
from tests.examples import examples

from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.codecs import compressors
from scdataset.engine.containers import hdf5, hdf5_filters
from scdataset.engine.containers.fallback import LibraryChunks
from scdataset.engine.containers.hdf5 import H5File, arrays_of, chunk_index_of
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import MissingDependencyError

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


def test_dense_tiles_are_decoded_as_the_plugins_do(tmp_path):
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
