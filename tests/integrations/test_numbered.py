"""Batches with the numbers of their rows."""

import numpy as np
import pytest
import torch

from scdataset import MultiIndexable
from scdataset.errors import HookError
from scdataset.integrations.numbered import Numbered
from scdataset.strategy.row_keys import RowKeys

KEYS = RowKeys(np.array([4, 1]), seed=0, epoch=0)


def test_numbers_are_tensors_where_there_are_tensors():
    assert Numbered(None, "row")({"X": np.ones(2)}, KEYS)["row"].tolist() == [4, 1]
    numbers = Numbered(torch.from_numpy, "row")  # a transform that returns no dict
    with pytest.raises(HookError, match="Tensor has no place for row numbers"):
        numbers(np.ones(2), KEYS)
    tensors = Numbered(lambda batch: {"X": torch.from_numpy(batch)}, "row")(np.ones(2), KEYS)
    assert torch.equal(tensors["row"], torch.tensor([4, 1]))


def test_a_multiindexable_stays_one():
    assert isinstance(Numbered(None, "row")(MultiIndexable(X=np.ones(2)), KEYS), MultiIndexable)


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(HookError, match="has a member 'X' already"):
        Numbered(None, "X")({"X": np.ones(2)}, KEYS)
