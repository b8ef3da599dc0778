"""Strategies of the user's own in the loop, and what is assigned to strategies between epochs."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

import scdataset as sd
from scdataset.errors import ArgumentValueError

ROWS = np.arange(640)


def _epoch(dataset):
    return np.concatenate(list(dataset))


class Shorter(sd.SamplingStrategy):
    """Epochs of 100 rows, then 99, 98, ..."""

    n_samples = 101

    def get_indices(self, data_collection, seed=None, rng=None):
        self.n_samples -= 1
        return self._get_rng(seed, rng).permutation(self.n_samples)


class Announced(Shorter):
    """The same, which says how long the next epoch is."""

    def get_len(self, data_collection):
        return self.n_samples - 1


def test_a_subclass_of_a_strategy_keeps_the_shuffle_inside_windows():
    class Mine(sd.BlockShuffling):
        def get_indices(self, data_collection, seed=None, rng=None):
            return super().get_indices(data_collection, seed=seed, rng=rng)

    rows = _epoch(sd.scDataset(ROWS, Mine(50), 10, 10, seed=1))
    assert sorted(rows) == ROWS.tolist()
    assert np.mean(np.diff(rows) == 1) < 0.1


@pytest.mark.parametrize("n_workers", [0, 2])
def test_epochs_of_other_lengths_are_followed(n_workers):
    dataset = sd.scDataset(ROWS, Announced(), 10, seed=0)
    loader = DataLoader(dataset, batch_size=None, num_workers=n_workers)
    for _ in range(2):
        expected = dataset.strategy.n_samples - 1
        assert len(dataset) == len(loader) == -(-expected // 10)
        assert sum(map(len, loader)) == expected
        if n_workers:  # which have a strategy of their own
            dataset.strategy.n_samples -= 1


def test_without_a_method_for_it_the_length_is_that_of_the_last_epoch():
    dataset = sd.scDataset(ROWS, Shorter(), 1, seed=0)
    assert len(dataset) == 100
    assert len(_epoch(dataset)) == len(dataset) == 99
    assert len(_epoch(dataset)) == len(dataset) == 98


def test_an_epoch_of_another_length_is_refused_where_ranks_count_by_it():
    dataset = sd.scDataset(ROWS, Shorter(), 10, rank=0, world_size=2, seed=0)
    with pytest.raises(ArgumentValueError, match=r"Shorter has 99 samples in epoch 0 and had 100 before; with 2 ranks"):
        next(iter(dataset))


def test_an_error_of_get_indices_comes_where_batches_are_asked_for():
    class Failing(sd.SamplingStrategy):
        def get_len(self, data_collection):
            return 10

        def get_indices(self, data_collection, seed=None, rng=None):
            raise NameError

    dataset = sd.scDataset(ROWS, Failing(), 10, seed=0)
    batches = iter(dataset)
    with pytest.raises(NameError):
        next(batches)


def test_what_is_assigned_to_a_strategy_counts_from_the_next_epoch_on():
    strategy = sd.BlockWeightedSampling(4, weights=np.ones(640), total_size=100)
    dataset = sd.scDataset(ROWS, strategy, 10, seed=0)
    batches = iter(dataset)
    next(batches)
    strategy.weights = np.arange(640) < 5
    strategy.total_size = 60
    assert len(list(batches)) == 9
    assert len(dataset) == 6
    rows = _epoch(dataset)
    assert len(rows) == 60
    assert set(rows) <= set(range(5))
    again = sd.scDataset(ROWS, sd.BlockWeightedSampling(4, weights=np.arange(640) < 5, total_size=60), 10, seed=0)
    again.set_epoch(1)
    assert np.array_equal(_epoch(again), rows)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_assigned_weights_reach_workers_that_are_started_after(n_workers):
    strategy = sd.BlockWeightedSampling(4, weights=np.ones(640), total_size=100)
    loader = DataLoader(sd.scDataset(ROWS, strategy, 10, seed=0), batch_size=None, num_workers=n_workers)
    strategy.total_size = 60
    strategy.weights = np.arange(640) < 5
    assert len(loader) == 6
    rows = np.concatenate([np.asarray(batch) for batch in loader])
    assert len(rows) == 60
    assert set(rows) <= set(range(5))


def test_a_state_is_that_of_what_was_assigned():
    strategy = sd.BlockShuffling(4)
    dataset = sd.scDataset(ROWS, strategy, 10, seed=0)
    _epoch(dataset)
    dataset.state_dict()
    strategy.block_size = 8
    batches = iter(dataset)
    next(batches)
    state = dataset.state_dict()
    again = sd.scDataset(ROWS, sd.BlockShuffling(8), 10, seed=0)
    again.load_state_dict(state)
    assert np.array_equal(_epoch(again), np.concatenate(list(batches)))


def test_sets_that_are_assigned_still_fit_batches():
    strategy = sd.GroupedSampling(np.arange(640) // 10, set_size=5)
    dataset = sd.scDataset(ROWS, strategy, 10, seed=0)
    strategy.set_size = 10
    assert all(len(set(batch // 10)) == 1 for batch in dataset)
    strategy.set_size = 4
    with pytest.raises(ArgumentValueError, match="batch_size=10 would cut"):
        iter(dataset)


def test_a_block_beyond_the_window_warns():
    with pytest.warns(UserWarning, match=r"block_size=200 is beyond the window of 160 rows .* fetch_factor=20 or more"):
        sd.scDataset(ROWS, sd.BlockShuffling(200), 10)
    with pytest.warns(UserWarning, match=r"block_size=200 is beyond the window"):
        sd.scDataset(ROWS, sd.ClassBalancedSampling(ROWS % 2, 200), 10, 2)
    sd.scDataset(ROWS, sd.BlockShuffling(160), 10)
    sd.scDataset(ROWS, sd.GroupedSampling(ROWS % 2, 2, block_size=200), 10)


@pytest.mark.parametrize("kind", [sd.Streaming, sd.BlockShuffling, sd.BlockWeightedSampling])
def test_empty_indices_give_no_batches(kind):
    with pytest.warns(UserWarning, match="indices is empty"):
        dataset = sd.scDataset(ROWS, kind(indices=[]), 10)
    assert len(dataset) == 0
    assert list(dataset) == []


def test_cells_are_found_by_name_in_frames_and_anndata():
    pd, anndata = pytest.importorskip("pandas"), pytest.importorskip("anndata")
    names = [f"cell{k}" for k in range(640)]
    obs = pd.DataFrame({"kind": np.where(ROWS % 4 == 0, "a", "b")}, index=names)
    shuffled = obs.sample(frac=1, random_state=0)
    cells = anndata.AnnData(ROWS.reshape(-1, 1).astype("f4"), obs=obs)
    for collection, read in ((cells, lambda b: b.X.ravel()), (pd.DataFrame({"row": ROWS}, names), lambda b: b["row"])):
        dataset = sd.scDataset(collection, sd.BlockShuffling(4, indices=shuffled["kind"] == "a"), 10, seed=0)
        assert sorted(np.concatenate([read(batch) for batch in dataset])) == list(range(0, 640, 4))
    halves = [cells[:300].copy(), cells[300:].copy()]
    dataset = sd.scDataset(halves, sd.Streaming(indices=shuffled["kind"] == "a"), 10, seed=0)
    assert np.concatenate([batch.X.ravel() for batch in dataset]).tolist() == list(range(0, 640, 4))
    with pytest.raises(ArgumentValueError, match=r"goes by names .*to_numpy\(\)"):
        sd.scDataset(cells.X, sd.ClassBalancedSampling(shuffled["kind"]), 10)
