"""Statistics of a dataset, once they are asked for."""

import numpy as np

from scdataset import BlockShuffling, scDataset


def test_batches_are_counted_from_the_first_call_on():
    dataset = scDataset(np.arange(100), BlockShuffling(4), 10, 2, seed=0, batch_transform=np.sqrt)
    list(dataset)
    before = dataset.stats()
    assert before.batches == 0
    list(dataset)
    stats = dataset.stats()
    assert (stats.batches, stats.rows, list(stats.hooks)) == (10, 100, ["batch_transform"])
    list(dataset)
    assert dataset.stats().since(stats).batches == 10
