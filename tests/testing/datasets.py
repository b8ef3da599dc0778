"""Datasets that are right, and datasets that are wrong in one way each."""

import numpy as np
import scipy.sparse

from scdataset import BlockShuffling, BlockWeightedSampling, MultiIndexable, Streaming, scDataset

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
