"""Defects seen in other loaders, those of one machine that no other test is named after."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, MultiIndexable, Streaming, scDataset

BILLION = 10**9


class RowNumbers:
    """A collection of any length that holds nothing: reading gives the numbers of the rows."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def read(self, rows):
        return rows

    def fingerprint(self):
        return f"rows:{self.length}"


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


LAZY_STRATEGIES = {
    "Streaming": Streaming,
    "Streaming of a range": lambda: Streaming(range(1, BILLION, 3), shuffle=True),
    "BlockShuffling": lambda: BlockShuffling(8),
    "BlockShuffling one by one": lambda: BlockShuffling(1),
    "BlockWeightedSampling": lambda: BlockWeightedSampling(8),
    "BlockWeightedSampling in rounds": lambda: BlockWeightedSampling(8, replace=False, sampling_size=100_000),
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
@pytest.mark.parametrize("strategy", LAZY_STRATEGIES)
def test_a_billion_rows_take_no_index_arrays(strategy):
    """Defect: 8 to 48 bytes a row of index arrays in every worker: 100 million rows take 1.6 GB."""

    def first_batch(length):
        dataset = scDataset(RowNumbers(length), LAZY_STRATEGIES[strategy](), 64, 16, seed=0)
        return len(dataset), next(iter(dataset))

    first_batch(BILLION)  # compiled code is loaded once, whatever the number of rows
    before = resident_bytes()
    length, batch = first_batch(BILLION)
    assert length in (BILLION // 64, -(-len(range(1, BILLION, 3)) // 64))
    assert batch.max() < BILLION
    assert resident_bytes() - before < 50e6


def test_class_codes_of_many_rows_are_all_that_is_kept():
    labels = np.arange(20_000_000, dtype=np.uint8) % 50
    before = resident_bytes() if Path("/proc/self/statm").exists() else 0
    strategy = ClassBalancedSampling(labels)
    dataset = scDataset(RowNumbers(labels.size), strategy, 64, 16, seed=0)
    assert next(iter(dataset)).shape == (64,)
    assert np.shares_memory(strategy._values, labels)
    if before:
        assert resident_bytes() - before < labels.nbytes + 50e6


def test_length_is_arithmetic():
    """Defect: len() loops over fetches in Python."""
    assert len(scDataset(RowNumbers(10**18), BlockShuffling(1), 1, 1, seed=0)) == 10**18


def test_the_weight_of_an_index_stays_with_its_row_when_indices_are_sorted():
    """Defect: unsorted indices are sorted, but weights and labels are not: the weight of row 30 draws row 10."""
    with pytest.warns(UserWarning, match="not in ascending order"):
        weighted = BlockWeightedSampling(indices=[30, 10, 20], weights=[1.0, 0.0, 0.0], total_size=50)
    assert set(np.concatenate(list(scDataset(np.arange(100), weighted, 8, seed=0)))) == {30}
    with pytest.warns(UserWarning, match="not in ascending order"):
        balanced = ClassBalancedSampling(["rare", *["common"] * 9], indices=[90, *range(9)], total_size=4000)
    rows = np.concatenate(list(scDataset(np.arange(100), balanced, 8, seed=0)))
    assert np.mean(rows == 90) == pytest.approx(0.5, abs=0.04)  # 5 standard deviations


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 51.0)])
def test_rounds_without_replacement_repeat_no_row(weights):
    """Defect: replace=False repeats rows within a round, or fails when total_size is left out."""
    strategy = BlockWeightedSampling(4, weights=weights, replace=False, sampling_size=20)
    dataset = scDataset(np.arange(50), strategy, batch_size=5, fetch_factor=4, seed=0)
    rounds = [np.concatenate(list(dataset)[i : i + 4]) for i in (0, 4)]
    assert len(dataset) == 10
    assert all(len(set(one.tolist())) == 20 for one in rounds)


def test_a_whole_window_is_not_kept_for_one_batch_of_a_callback():
    """Defect: a whole window densified before batches are cut from it; the callback decides what is densified."""
    densified = []
    dataset = scDataset(
        np.arange(1000),
        BlockShuffling(4),
        10,
        10,
        batch_transform=lambda batch: densified.append(len(batch)) or batch,
        seed=0,
    )
    next(iter(dataset))
    assert densified == [10]


def test_a_modality_called_names_survives():
    """Defect: a container of modalities loses one called names, and fails when indexed with a numpy integer."""
    cells = MultiIndexable(X=np.eye(6), names=np.array(list("abcdef")))
    batches = list(scDataset(cells, BlockShuffling(2), 4, seed=0))
    assert sorted(np.concatenate([batch["names"] for batch in batches])) == list("abcdef")
    assert batches[0][np.int64(0)].shape == (4, 6)


@pytest.mark.parametrize("strategy", [BlockShuffling(4), BlockWeightedSampling(4), Streaming(shuffle=True)])
def test_windows_of_workers_and_ranks_are_permuted_differently(strategy):
    """Defect: the k-th window of every worker and rank is permuted alike, for each starts the same random stream."""
    windows = []
    for rank in range(3):
        dataset = scDataset(np.arange(768), strategy, 16, 4, rank=rank, world_size=3, seed=0)
        rows = np.concatenate(list(dataset)).reshape(-1, 64)
        windows += [tuple(np.argsort(window, kind="stable")) for window in rows]
    assert len(windows) == 12
    assert len(set(windows)) == 12


def test_a_rank_sees_other_rows_each_epoch_and_every_class():
    """Defect: a fixed contiguous shard a rank: it never sees most of the data, and of a sorted file one class."""
    classes = np.repeat(np.arange(4), 1000)
    ranks = [scDataset(classes, BlockShuffling(4), 10, 4, rank=rank, world_size=4, seed=0) for rank in range(4)]
    for rank in ranks:
        assert np.unique(np.concatenate(list(rank))).tolist() == [0, 1, 2, 3]
    seen = set()
    dataset = scDataset(np.arange(4000), BlockShuffling(4), 10, 4, rank=1, world_size=4, seed=0)
    for _ in range(12):
        seen.update(np.concatenate(list(dataset)).tolist())
    assert len(seen) > 3500  # 3873 expected of independent epochs


def test_640_rows_on_4_ranks_are_10_batches_each():
    """Defect: ranks differ in length by up to fetch_factor batches (16, 16, 8, 0), and DDP hangs."""
    ranks = [scDataset(np.arange(640), BlockShuffling(), 16, 16, rank=rank, world_size=4, seed=0) for rank in range(4)]
    assert [len(rank) for rank in ranks] == [len(list(rank)) for rank in ranks] == [10, 10, 10, 10]


def test_a_manual_rank_needs_no_process_group_and_one_beyond_the_world_is_refused():
    """Defect: a manual rank without a seed fails without a group, and a rank beyond world_size is accepted."""
    with pytest.warns(UserWarning, match="Give the same seed on every rank"):
        assert len(scDataset(np.arange(100), Streaming(), 10, rank=1, world_size=2)) == 5
    with pytest.raises(ValueError, match="rank=2 is out of bounds"):
        scDataset(np.arange(100), Streaming(), 10, rank=2, world_size=2, seed=0)


def test_weighted_draws_are_one_global_sample_shared_by_ranks():
    strategy = BlockWeightedSampling(4, weights=np.arange(100.0), total_size=700)
    alone = sorted(tuple(batch) for batch in scDataset(np.arange(100), strategy, 10, 4, seed=0))
    ranks = [scDataset(np.arange(100), strategy, 10, 4, rank=rank, world_size=7, seed=0) for rank in range(7)]
    assert sorted(tuple(batch) for rank in ranks for batch in rank) == alone


def test_predictions_with_four_workers_are_written_in_order():
    """Streaming predictions equal those of one process, row for row and bit for bit."""
    data = np.random.default_rng(0).normal(size=(1003, 8)).astype(np.float32)
    model = torch.nn.Linear(8, 3)
    with torch.no_grad():
        alone, shared = (
            torch.cat([model(torch.as_tensor(batch)) for batch in DataLoader(dataset, None, num_workers=workers)])
            for dataset, workers in [(scDataset(data, Streaming(), 32, 4, seed=0), n) for n in (0, 4)]
        )
    assert torch.equal(alone, shared)
    assert alone.shape == (1003, 3)
