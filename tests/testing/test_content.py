"""Digests of batches: the same for the same values, whatever holds them."""

import numpy as np
import pytest
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


ALIKE = [
    (np.arange(3), torch.arange(3)),
    (scipy.sparse.eye(3, format="csr"), scipy.sparse.eye(3, format="csc")),
    (MultiIndexable(a=np.arange(3)), {"a": torch.arange(3)}),
    ([np.arange(3), "x"], (np.arange(3), "x")),
]
DIFFERENT = [
    (np.arange(3), np.arange(3.0)),
    (np.arange(4), np.arange(4).reshape(2, 2)),
    (np.array(["a", None]), np.array(["b", None])),
    (scipy.sparse.eye(3, format="csr"), scipy.sparse.eye(4, format="csr")),
    ({"a": np.arange(3)}, {"b": np.arange(3)}),
    ([np.arange(3), "x"], [np.arange(3), "y"]),
    ([[1], [2]], [[1, 2]]),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_the_same_values_are_alike_in_other_containers(one, other):
    assert content(one) == content(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_values_differ(one, other):
    assert content(one) != content(other)
