"""Calls in the style of version 0.1 are answered with the new way to write exactly that call."""

import numpy as np
import pytest

from scdataset import BlockShuffling, RemovedApiError, Streaming, scDataset

DATA = np.arange(10)


def answer_to(call):
    with pytest.raises(RemovedApiError) as caught:
        call()
    return str(caught.value)


def test_a_call_without_a_strategy_is_answered_with_the_new_one():
    answer = answer_to(lambda: scDataset(DATA, batch_size=64, block_size=8))
    assert "scDataset(data, BlockShuffling(block_size=8), batch_size=64, fetch_factor=1) to train" in answer
    assert "scDataset(data, Streaming(), batch_size=64, fetch_factor=1) to evaluate" in answer


def test_a_call_with_hooks_and_everything_by_name_is_answered_with_the_new_one():
    answer = answer_to(
        lambda: scDataset(data_collection=DATA, batch_size=64, fetch_factor=4, shuffle=True, fetch_transform=np.log1p)
    )
    assert "BlockShuffling(block_size=1), batch_size=64, fetch_factor=4, fetch_transform=log1p)" in answer


def test_a_call_by_position_is_answered_with_the_new_one():
    for batch_size in (64, np.int64(64)):
        answer = answer_to(lambda: scDataset(DATA, batch_size, 16, 8))  # noqa: B023 called at once
        assert "BlockShuffling(block_size=16), batch_size=" in answer
        assert "64" in answer
        assert "fetch_factor=8)" in answer


def test_a_strategy_and_block_size():
    assert "BlockShuffling(block_size=32), batch_size=64" in answer_to(
        lambda: scDataset(DATA, BlockShuffling(), 64, block_size=32)
    )


def test_subset_and_set_mode_are_answered_with_new_calls():
    dataset = scDataset(DATA, Streaming(), 4, 2)
    assert "BlockShuffling(block_size=8, indices=indices), batch_size=4, fetch_factor=2)" in answer_to(
        lambda: dataset.subset([1, 2, 3])
    )
    assert "scDataset(data, Streaming(), batch_size=4, fetch_factor=2)" in answer_to(lambda: dataset.set_mode("eval"))
    assert "BlockShuffling(block_size=8)" in answer_to(lambda: dataset.set_mode("train"))


def test_an_unknown_argument_is_still_only_that():
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        scDataset(DATA, Streaming(), 4, colour="red")
