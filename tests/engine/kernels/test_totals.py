"""Sums of rows, of CSR and of dense matrices."""

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
