"""DataLoader workers change who reads, and nothing else."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.children import CONTEXT
from tests.examples import examples, often
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, BlockWeightedSampling, MultiIndexable, Streaming, scDataset


@settings(max_examples=examples(10, at_least=3))
@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_batches_have_the_same_rows_with_any_number_of_workers(n, batch_size, fetch_factor, workers, drop_last):
    """Defect: batch contents change with num_workers (52 of 100 batches alike with two workers)."""
    for strategy in (BlockShuffling(3), Streaming(shuffle=True), BlockWeightedSampling(2, total_size=2 * n)):
        dataset = scDataset(np.arange(n), strategy, batch_size, fetch_factor, drop_last, seed=n)
        alone = sorted(tuple(batch.tolist()) for batch in dataset)
        dataset.set_epoch(0)
        loader = DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=fetch_factor + 1)
        shared = sorted(tuple(batch.tolist()) for batch in loader)
        assert shared == alone
        assert len(shared) == len(loader)


@pytest.mark.parametrize(
    ("n", "workers"),
    often(itertools.product([1, 63, 1000], [1, 2, 3, 4]), lambda n, workers: n == 63 or workers == 3),
)
def test_streaming_is_in_order_with_any_number_of_workers(n, workers):
    """Defect: Streaming comes out as 0, 50, 10, 60 with workers."""
    dataset = scDataset(np.arange(n), Streaming(), batch_size=10, fetch_factor=5)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=6)
    assert torch.cat(list(loader)).tolist() == list(range(n))


def test_ranks_and_workers_together_yield_every_row_once():
    rows = []
    for rank in range(3):
        dataset = scDataset(
            np.arange(1001), BlockShuffling(4), 7, 4, rank=rank, world_size=3, seed=1, uneven_ranks=True
        )
        rows += torch.cat(list(DataLoader(dataset, batch_size=None, num_workers=2))).tolist()
    assert sorted(rows) == list(range(1001))


def test_numpy_batches_become_tensors_in_a_loader_and_containers_stay():
    data = MultiIndexable(X=np.eye(6, dtype=np.float32), y=np.arange(6))
    bare = next(iter(scDataset(data, Streaming(), 4)))
    loaded = next(iter(DataLoader(scDataset(data, Streaming(), 4), batch_size=None, num_workers=1)))
    assert isinstance(next(iter(DataLoader(scDataset(data["X"], Streaming(), 4), batch_size=None))), torch.Tensor)
    assert type(loaded) is MultiIndexable
    assert np.array_equal(loaded["X"], bare["X"])


def test_tensors_go_to_workers_that_start_from_nothing():
    dataset = scDataset(torch.arange(40).reshape(20, 2), BlockShuffling(2), 3, 2, seed=0)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=CONTEXT)
    assert sorted(torch.cat(list(loader))[:, 0].tolist()) == list(range(0, 40, 2))
