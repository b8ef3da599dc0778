"""Digests of batches: the same for the same values, whatever holds them."""

import numpy as np
import scipy.sparse
import torch

from scdataset import MultiIndexable
from scdataset.testing.content import content

X = np.arange(6.0).reshape(2, 3)


def test_a_tensor_counts_as_the_array():
    assert content({"X": X}) == content({"X": torch.from_numpy(X)}) == content(MultiIndexable(X=X))


def test_sparse_matrices_are_compared_by_rows():
    csr = scipy.sparse.csr_matrix(X)
    assert content(csr) == content(csr.tocsc()) == content(csr.tocoo())


def test_other_values_types_shapes_and_names_are_others():
    others = [X + 1, X.astype("f4"), X.T, [X], {"X": X}, {"Y": X}]
    assert len({content(one) for one in [X, *others]}) == 7
