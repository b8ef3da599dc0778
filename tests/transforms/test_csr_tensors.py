"""Sparse matrices as tensors, and steps that run on their device."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdataset import ArgumentValueError
from scdataset.transforms import Log1p, NormalizeTotal
from scdataset.transforms.csr_tensors import CsrTensors, changed_on_device

COUNTS = sp.random(300, 700, 0.1, "csr", dtype=np.float32, random_state=0)


def dense(tensor):
    return (tensor if tensor.layout is torch.strided else tensor.to_dense()).cpu().double().numpy()


@pytest.mark.parametrize("step", [NormalizeTotal(1e4), NormalizeTotal(1e4, key="n_counts"), Log1p(), Log1p(base=2)])
@pytest.mark.parametrize(
    "matrix", [COUNTS, COUNTS.toarray(), COUNTS.astype("u2"), COUNTS[:0]], ids=["csr", "dense", "u2", "empty"]
)
def test_what_runs_on_the_device_equals_numpy(step, matrix):
    totals = np.arange(1.0, matrix.shape[0] + 1)
    known = step({"X": matrix, "n_counts": totals})["X"]
    tensors = CsrTensors.from_csr(matrix) if sp.issparse(matrix) else torch.from_numpy(matrix)
    changed = changed_on_device([step], tensors, {"X": tensors, "n_counts": torch.from_numpy(totals)})
    made = changed.dense(torch.float32) if isinstance(changed, CsrTensors) else changed
    known = known.toarray() if sp.issparse(known) else known
    if isinstance(step, NormalizeTotal):
        assert np.array_equal(made.numpy(), known)
    np.testing.assert_allclose(made.numpy(), known, rtol=3e-7)


@pytest.mark.parametrize("column", [700, -1])
def test_columns_that_could_stop_a_device_are_not_sent(column):
    matrix = COUNTS.copy()
    matrix.indices[5] = column
    with pytest.raises(ArgumentValueError, match=f"column numbers from .*{column}"):
        CsrTensors.from_csr(matrix)
