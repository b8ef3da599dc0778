"""The shipped assertions: they pass for what is right, and fail for each thing that can be wrong."""

import numpy as np
import pytest
import scipy.sparse
import torch

from scdataset import BlockShuffling, BlockWeightedSampling, MultiIndexable, Streaming, scDataset
from scdataset.testing import assert_covers, assert_elastic, assert_equal_ranks, assert_resumes_everywhere
from scdataset.testing.content import content

CELLS = MultiIndexable(
    X=scipy.sparse.eye(100, format="csr"), row=np.arange(100), name=[f"cell {k}" for k in range(100)]
)
STRATEGIES = {
    "blocks": lambda: BlockShuffling(4),
    "streaming": Streaming,
    "draws": lambda: BlockWeightedSampling(4, total_size=150),
}
POLICIES = {"padded": {}, "dropped": {"drop_last": True}, "uneven": {"uneven_ranks": True}}


def factory(cls=scDataset, strategy=Streaming, data=CELLS, **options):
    return lambda rank=0, world_size=1: cls(data, strategy(), 7, 3, rank=rank, world_size=world_size, seed=1, **options)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_right_passes(strategy, policy):
    make = factory(strategy=STRATEGIES[strategy], **POLICIES[policy])
    assert_covers(make, num_workers=[0], rows_of=lambda batch: batch["row"])
    assert_equal_ranks(make)
    assert_resumes_everywhere(make)
    assert_resumes_everywhere(make, rank=1, world_size=2)
    assert_elastic(make, world_sizes=[1, 2, 5])


def test_what_is_right_passes_with_workers():
    make = factory(strategy=lambda: BlockShuffling(4))
    assert_covers(make, world_sizes=[2], num_workers=[2])
    assert_equal_ranks(make, world_sizes=[2], num_workers=[3])
    assert_resumes_everywhere(make, num_workers=2, every=7)
    assert_elastic(make, world_sizes=[1, 2], num_workers=[2], every=6)


class Broken(scDataset):
    """Loses the first batch of each epoch of the second rank."""

    def __iter__(self):
        batches = super().__iter__()
        if self.rank == 1:
            next(batches)
        return batches


class ByRank(scDataset):
    """Has other rows in the batches of other ranks."""

    def __iter__(self):
        return (
            {**{name: batch[name] for name in batch.names}, "row": batch["row"] + self.rank}
            for batch in super().__iter__()
        )


def with_chain(state, chain):
    """Return a state with another chain, of the version that had no checksum."""
    return {name: value for name, value in state.items() if name != "checksum"} | {"version": 1, "chain": chain}


class Forgets(scDataset):
    """Goes on one batch too late."""

    def load_state_dict(self, state, *, ignore=()):
        chain = [[*link[:2], link[2] + 1] for link in state["chain"]]
        super().load_state_dict(with_chain(state, chain), ignore=ignore)


class Repeats(scDataset):
    """Begins every epoch anew."""

    def load_state_dict(self, state, *, ignore=()):
        super().load_state_dict(with_chain(state, []), ignore=ignore)


class Rambling(scDataset):
    """Saves more than it should."""

    def state_dict(self, *arguments, **options):
        return {**super().state_dict(*arguments, **options), "note": "x" * 5000}


class Unequal(scDataset):
    """Saves another state on another rank."""

    def state_dict(self, *arguments, **options):
        return {**super().state_dict(*arguments, **options), "epoch": self.rank}


@pytest.mark.parametrize(
    ("check", "broken", "message"),
    [
        (assert_covers, Broken, "missing"),
        (assert_covers, ByRank, "their rows depend on the ranks"),
        (assert_equal_ranks, Broken, r"ranks yield \[8, 7\] batches and have len \[8, 8\]"),
        (assert_resumes_everywhere, Forgets, "restored after 1 batches: 13 batches came and 14 were expected"),
        (assert_resumes_everywhere, Repeats, "the first difference is 0 batches after the restart"),
        (assert_resumes_everywhere, Rambling, "bytes as JSON, and may have 4096"),
        (assert_elastic, Forgets, "missing"),
        (assert_elastic, Repeats, "came again"),
        (assert_elastic, Unequal, "Ranks save different states"),
    ],
)
def test_what_is_wrong_fails(check, broken, message):
    with pytest.raises(AssertionError, match=message):
        check(factory(broken))


def test_rows_that_a_strategy_does_not_have_are_found():
    def make(rank=0, world_size=1):
        return scDataset(np.arange(50), Streaming(), 7, seed=0, rank=rank, world_size=world_size)

    assert_covers(make, num_workers=[0], rows_of=lambda batch: batch)
    with pytest.raises(AssertionError, match="50 rows, 50 of them too often; the strategy has 50"):
        assert_covers(make, num_workers=[0], rows_of=lambda batch: batch + 50)


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
