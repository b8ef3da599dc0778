"""Assertions that ranks and workers share out the batches of an epoch."""

import numpy as np
import pytest
from tests.testing.datasets import POLICIES, STRATEGIES, Broken, ByRank, factory

from scdataset import BlockShuffling, Streaming, scDataset
from scdataset.testing import assert_covers, assert_equal_ranks


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_batches_that_are_shared_out_pass(strategy, policy):
    make = factory(strategy=STRATEGIES[strategy], **POLICIES[policy])
    assert_covers(make, num_workers=[0], rows_of=lambda batch: batch["row"])
    assert_equal_ranks(make)


def test_batches_that_are_shared_out_pass_with_workers():
    make = factory(strategy=lambda: BlockShuffling(4))
    assert_covers(make, world_sizes=[2], num_workers=[2])
    assert_equal_ranks(make, world_sizes=[2], num_workers=[3])


@pytest.mark.parametrize(
    ("check", "broken", "message"),
    [
        (assert_covers, Broken, "missing"),
        (assert_covers, ByRank, "their rows depend on the ranks"),
        (assert_equal_ranks, Broken, r"ranks yield \[8, 7\] batches and have len \[8, 8\]"),
    ],
)
def test_batches_that_are_lost_or_changed_fail(check, broken, message):
    with pytest.raises(AssertionError, match=message):
        check(factory(broken))


def test_rows_that_a_strategy_does_not_have_are_found():
    def make(rank=0, world_size=1):
        return scDataset(np.arange(50), Streaming(), 7, seed=0, rank=rank, world_size=world_size)

    assert_covers(make, num_workers=[0], rows_of=lambda batch: batch)
    with pytest.raises(AssertionError, match="50 rows, 50 of them too often; the strategy has 50"):
        assert_covers(make, num_workers=[0], rows_of=lambda batch: batch + 50)
