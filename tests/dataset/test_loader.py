"""Forms of the DataLoader around a dataset: what is combined on purpose, and what is refused."""

import gc
import weakref

import numpy as np
import pytest
from torch.utils.data import DataLoader

from scdataset import LoaderError, Streaming, UnimplementedError, scDataset

DATA = np.arange(64.0)


def first(batches):
    return batches[0]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_collate_fn_gets_lists_of_batches(num_workers):
    dataset = scDataset(DATA, Streaming(), 8)
    loader = DataLoader(dataset, batch_size=1, collate_fn=first, num_workers=num_workers)
    assert len(loader) == 8
    assert np.concatenate(list(loader)).tolist() == DATA.tolist()
    joined = list(DataLoader(dataset, batch_size=4, collate_fn=np.concatenate))
    assert [batch.tolist() for batch in joined] == [DATA[:32].tolist(), DATA[32:].tolist()]


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (64, 0), (1, 1)])
def test_a_loader_that_would_stack_batches_is_refused_at_the_first(batch_size, num_workers):
    loader = DataLoader(scDataset(DATA, Streaming(), 4), batch_size=batch_size, num_workers=num_workers)
    with pytest.raises(LoaderError, match=r"batch_size=None.* give a collate_fn"):
        next(iter(loader))


def test_rows_by_number_are_refused_with_the_way_to_get_them():
    for error in (NotImplementedError, TypeError, UnimplementedError):
        with pytest.raises(error, match=r"for batch in dataset.* dataset\.collection\[\[0\]\]"):
            scDataset(DATA, Streaming(), 8)[0]


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_function_that_iterates_can_free_what_it_has(world_size):
    indices = np.arange(0, 64, 2)
    freed = weakref.ref(indices)
    batches = iter(scDataset(DATA, Streaming(indices.copy()), 8, seed=0, rank=0, world_size=world_size))
    next(batches)
    del indices
    gc.collect()
    assert freed() is None
