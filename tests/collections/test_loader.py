"""A DataLoader reads every container, in the main process and in workers that were forked after it had read."""

import itertools

import numpy as np
import pytest
import torch
from tests.collections.containers import BUILDERS
from tests.collections.reference import N_ROWS
from torch.utils.data import DataLoader, IterableDataset

from scdataset import BlockShuffling, Streaming

UNKNOWN_TO_TORCH = {"numpy structured", "h5py compound"}

pytestmark = pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")


def loader(container, dataset, **options):
    """Return a DataLoader, which makes tensors of arrays that torch knows."""
    if container.name == "numpy big endian":
        pytest.skip("pickle and torch turn big-endian arrays into native ones")
    if container.name in UNKNOWN_TO_TORCH:
        options["collate_fn"] = as_it_is
    return DataLoader(dataset, batch_size=None, **options)


def as_it_is(batch):
    return batch


def test_a_loader_makes_tensors_of_numbers_and_passes_on_all_else(container):
    bare = next(iter(container.dataset()))
    loaded = next(iter(loader(container, container.dataset())))
    is_numbers = isinstance(bare, np.ndarray) and bare.dtype.kind in "iuf"
    as_torch_has_it = {tuple: list}.get(type(bare), type(bare))  # torch makes a list of any plain tuple
    assert type(loaded) is (torch.Tensor if is_numbers else as_torch_has_it)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_rows_are_in_order(container, workers):
    dataset = container.dataset(Streaming())
    assert len(list(dataset)) == len(dataset)
    fork = {"multiprocessing_context": "fork"} if workers else {}
    batches = list(loader(container, dataset, num_workers=workers, **fork))
    assert [container.rows(batch) for batch in batches] == [
        list(range(start, min(start + 4, N_ROWS))) for start in range(0, N_ROWS, 4)
    ]


class Every(IterableDataset):
    """The batches of many datasets, by name."""

    def __init__(self, datasets):
        self.datasets = datasets

    def __iter__(self):
        for name, dataset in self.datasets.items():
            for batch in dataset:
                yield name, batch


def test_workers_read_every_container_that_was_read_before(built):
    containers = {name: built(name) for name in BUILDERS if name != "numpy big endian"}  # see `loader`
    datasets = {name: container.dataset(BlockShuffling(4)) for name, container in containers.items()}
    for dataset in datasets.values():
        list(dataset)
    rows = {name: [] for name in datasets}
    workers = DataLoader(
        Every(datasets), batch_size=None, num_workers=2, collate_fn=as_it_is, multiprocessing_context="fork"
    )
    for name, batch in workers:
        rows[name] += containers[name].rows(batch)
    assert {name: sorted(found) for name, found in rows.items()} == {name: list(range(N_ROWS)) for name in rows}


@pytest.mark.slow
def test_shuffled_rows_all_come_once(container):
    dataset = container.dataset(BlockShuffling(4))
    list(dataset)
    dataset.set_epoch(3)
    alone = sorted(container.rows(batch) for batch in dataset)
    dataset.set_epoch(3)
    batches = list(loader(container, dataset, num_workers=2, multiprocessing_context="fork"))
    assert sorted(container.rows(batch) for batch in batches) == alone
    assert sorted(itertools.chain.from_iterable(alone)) == list(range(N_ROWS))
