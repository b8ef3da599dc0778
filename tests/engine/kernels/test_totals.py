"""Sums of rows, of CSR and of dense matrices."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse

from scdataset.engine.kernels.totals import row_totals


@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_sums_are_those_of_numpy(dtype):
    dense = np.arange(60).reshape(6, 10).astype(dtype) * (np.arange(60).reshape(6, 10) % 3 > 0)
    dense[2] = 0
    expected = dense.sum(axis=1, dtype=np.float64)
    assert row_totals(dense).tolist() == row_totals(scipy.sparse.csr_matrix(dense)).tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", ["f4", "i4", "f8"])
def test_sums_of_long_rows_are_exact_for_counts_and_close_for_fractions(dtype):
    lengths = [0, 1, 63, 64, 65, 127, 128, 1000]
    counts = np.random.default_rng(0).integers(0, 1000, sum(lengths)).astype(dtype)
    values = counts if dtype == "i4" else counts / np.asarray(7, dtype)
    pointers = np.cumsum([0, *lengths])
    for data, rtol in ((counts, 0), (values, 1e-14)):
        rows = scipy.sparse.csr_matrix((data, np.concatenate([np.arange(n) for n in lengths]), pointers), (8, 1000))
        expected = [math.fsum(data[start:stop]) for start, stop in pairwise(pointers)]
        np.testing.assert_allclose(row_totals(rows), expected, rtol=rtol)
        assert row_totals(rows[[7, 5]]).tolist() == row_totals(rows)[[7, 5]].tolist()
