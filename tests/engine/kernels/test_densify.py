"""Rows of a CSR matrix as a dense array: the values that scipy gives, in both ways of writing."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import EVERYTHING, examples

from scdataset.engine.kernels import densify
from scdataset.engine.kernels.densify import fill_dense
from scdataset.engine.threads import Threads


def _filled(matrix, *, offset=0, threads=1):
    memory = np.full(matrix.shape[0] * matrix.shape[1] + offset, 7, matrix.dtype)
    out = memory[offset:].reshape(matrix.shape)
    assert fill_dense(matrix.indptr, matrix.indices, matrix.data, out, Threads(threads))
    assert (memory[:offset] == 7).all()
    return out


@pytest.fixture(params=["in the cache", "past the cache"])
def way(request, monkeypatch):
    monkeypatch.setattr(densify, "_BEYOND_CACHE", -1 if request.param == "past the cache" else 1 << 60)


@settings(deadline=None, max_examples=examples(60))
@given(
    n_rows=st.integers(0, 9),
    width=st.sampled_from([1, 5, 31, 4096, 9001]),
    dtype=st.sampled_from(["f4", "f8", "i2"] if EVERYTHING else ["f4"]),
    density=st.sampled_from([0.0, 0.001, 0.3, 1.0]),
    offset=st.integers(0, 9),
    threads=st.integers(1, 3),
    past_cache=st.booleans(),
)
def test_rows_are_those_of_toarray(n_rows, width, dtype, density, offset, threads, past_cache):
    matrix = sp.random(n_rows, width, density, "csr", random_state=0)
    matrix = sp.csr_array(((matrix.data * 100).astype(dtype), matrix.indices, matrix.indptr), matrix.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(densify, "_BEYOND_CACHE", -1 if past_cache else 1 << 60)
        patch.setattr(densify, "_PART_BYTES", 1)
        assert np.array_equal(_filled(matrix, offset=offset, threads=threads), matrix.toarray())


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("columns", [[1, 1], [1, 5], [-1, 2], [2, -7], [5, 1]])
def test_columns_that_come_twice_or_are_out_of_bounds_are_told(columns):
    out = np.zeros((2, 5), np.float32)
    indptr, values = np.array([0, 1, 3], np.int32), np.ones(3, np.float32)
    assert not fill_dense(indptr, np.array([0, *columns], np.int32), values, out, Threads(1))


@pytest.mark.usefixtures("way")
def test_columns_come_in_any_order():
    matrix = sp.random(9, 3000, 0.1, "csr", dtype=np.float32, random_state=2)[:, np.arange(2999, -1, -1)]
    assert not matrix.has_sorted_indices
    assert np.array_equal(_filled(matrix), matrix.toarray())


@pytest.mark.usefixtures("way")
def test_index_types_may_be_of_64_bits():
    matrix = sp.random(7, 3000, 0.1, "csr", dtype=np.float32, random_state=1)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    assert np.array_equal(_filled(matrix), matrix.toarray())
