"""Rows of dense matrices in HDF5: the fast path gives what the fallback gives, and what h5py gives."""

import itertools
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.engine.stored import DTYPES, FILTERS, LAYOUTS, How, any_values, hows, same_bits, some_rows, store
from tests.examples import examples, often

from scdataset.engine.buffers import BufferPool
from scdataset.engine.containers.hdf5 import H5File, dense_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import CollectionError

FEW = settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
BUFFERS = BufferPool()
ONE, THREE = Threads(1), Threads(3)


def check(folder, shape, dtype, how, *, seed=0, **options):
    rng = np.random.default_rng(seed)
    path = folder / "matrix.h5"
    with h5py.File(path, "w", **options) as h5:
        store(h5, "X", any_values(rng, shape, dtype), how, folder)
    with h5py.File(path) as h5:
        values = h5["X"][:]
    file = H5File(str(path))
    fast, fallback = (dense_matrix(file, "X", fallback=fallback) for fallback in (False, True))
    for rows in some_rows(rng, shape[0]):
        for matrix, threads in ((fast, ONE), (fast, THREE), (fallback, ONE)):
            assert same_bits(matrix.read(rows, ReadContext(threads, BUFFERS)), values[rows])
        fast.announce(rows)
    file.close()


sizes = st.integers(1, 20)


@FEW
@given(
    shape=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    dtype=st.sampled_from(DTYPES),
    how=hows(sizes, sizes),
    latest=st.booleans(),
    seed=st.integers(0, 99),
)
@example((0, 5), "f", How("contiguous", "none", (1, 1)), False, 0)
@example((5, 0), "f", How("contiguous", "none", (1, 1)), False, 0)
@example((5, 1), "f", How("chunked", "gzip", (2, 3)), False, 0)
@example((40, 40), "f", How("chunked", "none", (7, 9)), True, 0)
def test_the_fast_path_gives_what_h5py_gives(recycled, buffers, shape, dtype, how, latest, seed):
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), shape, dtype, how, seed=seed, libver="latest" if latest else None)


@pytest.mark.parametrize(
    ("filters", "tile"),
    often(
        itertools.product(FILTERS, [(5, 17), (6, 40), (50, 7), (1, 1), (33, 40)]),
        lambda filters, tile: filters in {"none", "gzip shuffle"} or tile == (5, 17),
    ),
)
def test_tiles_with_ragged_edges(tmp_path, recycled, filters, tile):
    check(tmp_path, (33, 40), "f4", How("chunked", filters, tile))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_what_h5py_gives(tmp_path, layout):
    check(tmp_path, (33, 40), "f4", How(layout, "gzip shuffle", (5, 7)))


def test_a_matrix_has_two_axes(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        h5["X"] = np.zeros((2, 2, 2))
    with pytest.raises(CollectionError, match=r"X has shape \(2, 2, 2\)"):
        dense_matrix(H5File(str(tmp_path / "m.h5")), "X")
