"""Parameters of strategies are checked when they are assigned, and take effect."""

import pytest

from scdataset import BlockShuffling
from scdataset.errors import ArgumentValueError


def test_an_assigned_parameter_is_checked():
    strategy = BlockShuffling(block_size=4)
    with pytest.raises(ArgumentValueError, match="block_size"):
        strategy.block_size = 0
    assert strategy.block_size == 4


def test_earlier_results_are_forgotten():
    strategy = BlockShuffling(block_size=4)
    assert strategy.get_len(range(10)) == 10
    strategy.indices = [1, 2, 3]
    assert strategy.get_len(range(10)) == 3
