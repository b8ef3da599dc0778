"""Defects seen in other loaders, those of one machine that no other test is named after."""

import os
from pathlib import Path

import numpy as np
import pytest

from scdataset import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    MultiIndexable,
    Streaming,
    scDataset,
)

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
    labels = np.arange(20_000_000, dtype=np.int16) % 50
    before = resident_bytes() if Path("/proc/self/statm").exists() else 0
    strategy = ClassBalancedSampling(labels)
    dataset = scDataset(RowNumbers(labels.size), strategy, 64, 16, seed=0)
    assert next(iter(dataset)).shape == (64,)
    assert np.shares_memory(strategy._values, labels)
    if before:
        assert resident_bytes() - before < labels.nbytes + 50e6


def test_length_is_arithmetic():
    """Defect: len() loops over fetches in Python."""
    assert len(scDataset(RowNumbers(10**18), BlockShuffling(), 1, 1, seed=0)) == 10**18


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
