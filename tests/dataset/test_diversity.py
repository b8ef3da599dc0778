"""How random batches are: the documented formula, against the batches themselves."""

import numpy as np
import pytest

from scdataset import BlockShuffling, scDataset

GROUPS, BATCH = 14, 64


def mean_batch_entropy(block_size, fetch_factor, n=14 * 8192):
    """Return the mean entropy, in bits, of the groups in a batch; groups lie one after the other in the file."""
    groups = np.arange(n) * GROUPS // n
    dataset = scDataset(groups, BlockShuffling(block_size), BATCH, fetch_factor, seed=0)
    counts = np.array([np.bincount(batch, minlength=GROUPS) for batch in dataset])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return -np.sum(shares * np.log2(np.where(shares, shares, 1)), axis=1).mean()


@pytest.mark.parametrize(("block_size", "fetch_factor"), [(1, 16), (4, 16), (16, 16), (32, 16), (64, 64), (64, 256)])
def test_the_entropy_of_batches_is_as_the_readme_says(block_size, fetch_factor):
    unit = (GROUPS - 1) / (2 * BATCH * np.log(2))
    expected = np.log2(GROUPS) - (1 + (block_size - 1) / fetch_factor) * unit
    assert mean_batch_entropy(block_size, fetch_factor) == pytest.approx(expected, abs=0.05)


def test_a_block_as_large_as_a_window_gives_one_group_a_batch():
    assert mean_batch_entropy(block_size=BATCH * 4, fetch_factor=4) < 0.1
