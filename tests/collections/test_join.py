"""Rows that were read in pieces are joined to one result of their type."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from scdataset.collections.join import join_rows
from scdataset.errors import CollectionError


def test_pieces_keep_their_type():
    one, two = np.array([[1, 2]]), np.array([[3, 4], [5, 6]])
    whole = np.vstack([one, two])
    assert np.array_equal(join_rows([one, two], [1, 2]), whole)
    assert torch.equal(join_rows([torch.tensor(one), torch.tensor(two)], [1, 2]), torch.tensor(whole))
    sparse = join_rows([scipy.sparse.csr_matrix(one), scipy.sparse.csr_matrix(two)], [1, 2])
    assert sparse.format == "csr"
    assert np.array_equal(sparse.toarray(), whole)
    frames = join_rows([pd.DataFrame(one), pd.DataFrame(two)], [1, 2])
    assert np.array_equal(frames.to_numpy(), whole)
    named = join_rows([{"X": one, "label": ["a"]}, {"X": two, "label": ["b", "c"]}], [1, 2])
    assert np.array_equal(named["X"], whole)
    assert list(named["label"]) == ["a", "b", "c"]


def test_pieces_of_different_types_are_refused_by_name():
    with pytest.raises(CollectionError, match="gave DataFrame and ndarray, which cannot be joined"):
        join_rows([np.zeros((1, 2)), pd.DataFrame(np.zeros((1, 2)))], [1, 1])


def test_rows_stay_on_the_device_of_the_tensors_whatever_the_default_is():
    with torch.device("meta"):
        joined = join_rows([torch.tensor([[1]], device="cpu"), np.array([[2]])], [1, 1])
    assert joined.tolist() == [[1], [2]]
