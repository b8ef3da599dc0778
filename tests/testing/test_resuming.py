"""Assertions that a state goes on with the same batches, on other ranks too."""

import itertools

import pytest
from tests.examples import often
from tests.testing.datasets import POLICIES, STRATEGIES, Forgets, Rambling, Repeats, Unequal, factory

from scdataset import BlockShuffling
from scdataset.testing import assert_elastic, assert_resumes_everywhere


@pytest.mark.parametrize(
    ("strategy", "policy"),
    often(
        itertools.product(STRATEGIES, POLICIES),
        lambda strategy, policy: strategy == next(iter(STRATEGIES)) or policy == next(iter(POLICIES)),
    ),
)
def test_states_that_go_on_pass(strategy, policy):
    make = factory(strategy=STRATEGIES[strategy], **POLICIES[policy])
    assert_resumes_everywhere(make)
    assert_resumes_everywhere(make, rank=1, world_size=2)
    assert_elastic(make, world_sizes=[1, 2, 5])


def test_states_that_go_on_pass_with_workers():
    make = factory(strategy=lambda: BlockShuffling(4))
    assert_resumes_everywhere(make, num_workers=2, every=20)
    assert_elastic(make, world_sizes=[1, 2], num_workers=[2], every=20)


@pytest.mark.parametrize(
    ("check", "broken", "message"),
    [
        (assert_resumes_everywhere, Forgets, "restored after 1 batch: 13 batches came and 14 were expected"),
        (assert_resumes_everywhere, Repeats, "the first difference is 0 batches after the restart"),
        (assert_resumes_everywhere, Rambling, "bytes as JSON, and may have 4,096"),
        (assert_elastic, Forgets, "missing"),
        (assert_elastic, Repeats, "came again"),
        (assert_elastic, Unequal, "Ranks save different states"),
    ],
)
def test_states_that_do_not_go_on_fail(check, broken, message):
    with pytest.raises(AssertionError, match=message):
        check(factory(broken))
