"""A dataset tells what it is, and what its next epoch will be."""

import numpy as np

from scdataset import BlockShuffling, Streaming, scDataset


def test_it_shows_what_it_was_made_with():
    dataset = scDataset(np.arange(1000), BlockShuffling(8), 64, 4, seed=5, rank=1, world_size=2)
    said = repr(dataset)
    settings = ("batch_size=64", "fetch_factor=4", "rank=1", "world_size=2", "seed=5")
    for part in ("1,000 rows", "BlockShuffling(", *settings):
        assert part in said


def test_a_notebook_shows_the_batches_of_this_rank():
    dataset = scDataset(np.arange(1000), Streaming(), 64, 4, drop_last=True, seed=0, rank=1, world_size=2)
    shown = dataset._repr_html_()
    assert f">{len(dataset)} of 64 rows, 4 batches a window, short ones dropped<" in shown
    assert ">1 of 2<" in shown


def test_the_prediction_is_of_this_dataset():
    explanation = scDataset(np.zeros((1000, 50)), BlockShuffling(8), 64, 4, seed=0).explain()
    assert explanation.batches == 16
    assert explanation.row_bytes == 400
