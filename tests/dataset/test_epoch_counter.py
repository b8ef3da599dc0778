"""Epochs differ and repeat, wherever the iteration runs."""

import copy
import gc
import itertools
import multiprocessing
import os
import pickle
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tests.children import CONTEXT, output_of
from tests.examples import often, rare
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, Streaming, scDataset
from scdataset.dataset import epoch_counter


def make(seed=3, **options):
    return scDataset(np.arange(400), BlockShuffling(4), batch_size=16, fetch_factor=2, seed=seed, **options)


def batches_of(iterable):
    """Return batches as a set: workers change the order in which they come."""
    return {tuple(batch.tolist()) for batch in iterable}


EPOCHS = [batches_of(dataset) for dataset in [make()] for _ in range(4)]


def test_epochs_count_by_themselves_and_repeat_in_another_dataset():
    assert len({frozenset(epoch) for epoch in EPOCHS}) == 4
    assert [batches_of(dataset) for dataset in [make()] for _ in range(4)] == EPOCHS


def test_set_epoch_chooses_the_next_epoch_and_counting_goes_on_from_it():
    dataset = make()
    dataset.set_epoch(2)
    assert [batches_of(dataset), batches_of(dataset)] == EPOCHS[2:]
    dataset.set_epoch(0)
    assert batches_of(dataset) == EPOCHS[0]


def test_seeds_do_not_add_up_with_epochs():
    """Defect: seeds combine by addition, so that seed 0 at epoch 1 is seed 1000 at epoch 0."""
    grid = [(seed, epoch) for seed in (0, 1, 2, 1000, 1001) for epoch in (0, 1, 2, 1000)]
    orders = set()
    for seed, epoch in grid:
        dataset = make(seed)
        dataset.set_epoch(epoch)
        orders.add(tuple(np.concatenate(list(dataset)).tolist()))
    assert len(orders) == len(grid)


def test_without_a_seed_every_dataset_has_its_own():
    assert make(seed=None).seed != make(seed=None).seed


@pytest.mark.parametrize(
    ("num_workers", "persistent_workers"),
    often(itertools.product([1, 3], [False, True]), lambda number, persistent: persistent == (number == 1)),
)
def test_epochs_go_on_in_workers(num_workers, persistent_workers):
    """Defect: the epoch counter lives in the worker's copy: with fresh workers every epoch is epoch 0."""
    dataset = make()
    loader = DataLoader(dataset, None, num_workers=num_workers, persistent_workers=persistent_workers)
    assert [batches_of(loader) for _ in range(3)] == EPOCHS[:3]
    dataset.set_epoch(1)  # reaches workers that are running
    assert [batches_of(loader) for _ in range(2)] == EPOCHS[1:3]
    assert batches_of(dataset) == EPOCHS[3]  # and the main process counts on


@pytest.mark.parametrize("context", ["forkserver", *rare("spawn")])
def test_epochs_go_on_in_workers_that_start_from_nothing(context):
    dataset = make()
    loader = DataLoader(
        dataset, None, num_workers=1, prefetch_factor=3, persistent_workers=True, multiprocessing_context=context
    )
    assert [batches_of(loader) for _ in range(2)] == EPOCHS[:2]
    dataset.set_epoch(0)
    assert batches_of(loader) == EPOCHS[0]


def test_epochs_go_on_in_fresh_workers_that_start_from_nothing():
    dataset = make()
    fresh = DataLoader(dataset, None, num_workers=2, multiprocessing_context=CONTEXT)
    assert [batches_of(fresh) for _ in range(2)] == EPOCHS[:2]


def test_a_broken_epoch_counts_as_one():
    dataset = make()
    loader = DataLoader(dataset, None, num_workers=2)
    for expected in EPOCHS[:2]:
        assert tuple(next(iter(loader)).tolist()) in expected
    assert batches_of(loader) == EPOCHS[2]


def test_two_iterations_at_once_are_two_epochs():
    loader = DataLoader(make(), None, num_workers=2)
    pairs = list(zip(loader, loader, strict=True))
    assert {frozenset(batches_of(side)) for side in zip(*pairs, strict=True)} == set(map(frozenset, EPOCHS[:2]))


def test_loaders_with_the_same_generator_seed_still_advance():
    dataset = make()
    for expected in EPOCHS[:3]:
        generator = torch.Generator().manual_seed(0)
        assert batches_of(DataLoader(dataset, None, num_workers=2, generator=generator)) == expected


def test_the_number_of_workers_may_change_between_epochs():
    dataset = make()
    for workers, expected in zip([0, 3, 1, 2], EPOCHS, strict=True):
        assert batches_of(DataLoader(dataset, None, num_workers=workers)) == expected


def _put_first_epoch(dataset, queue):
    queue.put(batches_of(DataLoader(dataset, None, num_workers=2, multiprocessing_context="fork")))


@pytest.mark.parametrize("context", ["fork", "forkserver"])
def test_processes_that_train_side_by_side_have_the_same_epoch(context):
    """Each process below a launcher has its own count: ranks are not one another's workers."""
    processes = multiprocessing.get_context(context)
    dataset, queue = make(), processes.Queue()
    ranks = [processes.Process(target=_put_first_epoch, args=(dataset, queue)) for _ in range(2)]
    for rank in ranks:
        rank.start()
    found = [queue.get() for _ in ranks]
    for rank in ranks:
        rank.join()
    assert found == [EPOCHS[0], EPOCHS[0]]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))])
def test_a_copy_goes_on_from_here_and_counts_for_itself(copied):
    dataset = make()
    batches_of(DataLoader(dataset, None, num_workers=1))
    twin = copied(dataset)
    assert batches_of(dataset) == batches_of(twin) == EPOCHS[1]


def test_no_global_random_state_but_that_of_torch_is_read_or_changed():
    orders, states = [], []
    for k in range(2):
        np.random.seed(0)  # noqa: NPY002 the state that must not matter
        torch.manual_seed(k)
        orders.append(np.concatenate(list(make(seed=None))).tolist())
        states.append(np.random.get_state()[1].tolist())  # noqa: NPY002 as above
    assert orders[0] != orders[1]
    assert states[0] == states[1]


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dataset = make()
    batches_of(DataLoader(dataset, None, num_workers=2))
    assert {path.name.partition("-epochs-")[0] for path in tmp_path.iterdir()} == {"scdataset"}
    del dataset
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_where_no_process_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dataset = make()
    assert [batches_of(dataset) for _ in range(2)] == EPOCHS[:2]
    dataset.set_epoch(3)
    assert batches_of(dataset) == EPOCHS[3]
    assert list(tmp_path.iterdir()) == []


def test_epochs_of_the_main_process_count_for_workers_that_were_started_before():
    dataset = make()
    loader = DataLoader(dataset, None, num_workers=1, persistent_workers=True)
    assert batches_of(loader) == EPOCHS[0]
    assert batches_of(dataset) == EPOCHS[1]
    assert batches_of(loader) == EPOCHS[2]


def test_threads_that_iterate_at_once_have_different_epochs():
    dataset = make()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: frozenset(batches_of(dataset)), range(4)))
    assert set(found) == set(map(frozenset, EPOCHS))


def test_streaming_is_the_same_in_every_epoch():
    dataset = scDataset(np.arange(50), Streaming(), 8)
    assert [batch.tolist() for batch in dataset] == [batch.tolist() for batch in dataset]


LEAVES = """
import os
import sys
import tempfile
import numpy as np
from scdataset import Streaming, scDataset
from torch.utils.data import DataLoader
tempfile.tempdir = sys.argv[1]
dataset = scDataset(np.arange(50), Streaming(), 8)
list(DataLoader(dataset, None, num_workers=1))
os._exit(0)
"""


def test_files_of_a_main_process_that_was_killed_go_with_the_next_first_clock(tmp_path, monkeypatch):
    output_of(LEAVES, tmp_path)
    left = sorted(tmp_path.glob("scdataset-epochs-*"))
    assert [path.suffix for path in left] == [".json", ".lock"]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    epoch_counter._remove_abandoned.cache_clear()
    make()
    assert sorted(tmp_path.iterdir()) == left  # it may just have begun
    for path in left:
        os.utime(path, (1, 1))
    make()
    assert sorted(tmp_path.iterdir()) == left  # once in a process
    epoch_counter._remove_abandoned.cache_clear()
    make()
    assert list(tmp_path.iterdir()) == []
