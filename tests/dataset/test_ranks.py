"""Ranks that are found, and worlds that change after the dataset was made."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from scdataset import BlockShuffling, LoaderError, scDataset


@pytest.fixture
def process_group(monkeypatch):
    """Return a function that lets torch.distributed look initialised."""

    def look(rank, size):
        fake = SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: True,
            get_rank=lambda: rank,
            get_world_size=lambda: size,
        )
        monkeypatch.setitem(sys.modules, "torch.distributed", fake)

    return look


def make(**options):
    return scDataset(np.arange(400), BlockShuffling(4), 7, 4, **options)


def test_a_process_group_that_comes_after_the_dataset_is_found(process_group):
    """Lightning and Accelerate initialise it after the dataset was made, and every rank would yield everything."""
    early = make(seed=3)
    assert len(early) == 58
    process_group(1, 2)
    assert (early.rank, early.world_size, len(early)) == (1, 2, 29)
    expected = make(seed=3, rank=1, world_size=2)
    assert [batch.tolist() for batch in early] == [batch.tolist() for batch in expected]


def test_without_a_seed_it_comes_too_late(process_group):
    early, given = make(), make(rank=0, world_size=1)
    process_group(1, 2)
    for use in (len, iter, scDataset.state_dict):
        with pytest.raises(LoaderError, match=r"now has 2 processes, .* Give seed=, or make the dataset after"):
            use(early)
    assert (given.world_size, len(given)) == (1, 58)


def test_the_launchers_environment_is_believed(monkeypatch):
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    dataset = make(seed=0)
    assert (dataset.rank, dataset.world_size) == (2, 3)
    with pytest.warns(UserWarning, match="rank=2 of 3 and no process group"):
        assert make().seed == 0


@pytest.mark.parametrize(
    ("policy", "lengths"),
    [({}, [1, 1, 1, 1, 1]), ({"drop_last": True}, [0, 0, 0, 0, 0]), ({"uneven_ranks": True}, [1, 1, 1, 0, 0])],
)
def test_ranks_of_fewer_batches_than_ranks_say_what_they_have_and_go_on(policy, lengths):
    for rank, length in enumerate(lengths):
        dataset = scDataset(np.arange(30), BlockShuffling(4), 10, rank=rank, world_size=5, seed=0, **policy)
        assert len(dataset) == len(list(dataset)) == length
        assert dataset.state_dict()["epoch"] == 1
        assert len(list(dataset)) == length
