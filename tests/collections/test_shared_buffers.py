"""Large arrays of a dataset go to worker processes in one file without a name, and small ones by pickle."""

import gc
import io
import multiprocessing.context
import os
import pickle
import signal
import sys
import tempfile
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from tests.children import CONTEXT
from torch.utils.data import DataLoader

from scdataset import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    GroupedSampling,
    Streaming,
    scDataset,
)
from scdataset.collections import shared_buffers
from scdataset.engine.matrices.row_pointers import RowPointers

N = 400_000
LABELS = np.arange(N, dtype=np.int32) % 7
ROWS = np.flatnonzero(LABELS > 0)
WEIGHTS = np.where(LABELS > 3, 1.0, 3.0)


class Starting:
    """A process that is being started, as multiprocessing knows it while it pickles; descriptors stay as they are."""

    def duplicate_for_child(self, descriptor):
        return descriptor

    class DupFd:
        def __init__(self, descriptor):
            self.descriptor = descriptor

        def detach(self):
            return os.dup(self.descriptor)


@contextmanager
def starting():
    multiprocessing.context.set_spawning_popen(Starting())
    try:
        yield
    finally:
        multiprocessing.context.set_spawning_popen(None)


def sent(value):
    """Pickle a value as it goes to a process that is being started."""
    stream = io.BytesIO()
    with starting():
        ForkingPickler(stream, pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue()


class Cells:
    """A collection with a row table and codes, as those of files have them."""

    def __init__(self, n=N):
        self.table = RowPointers(np.full(n, 300, np.uint16), np.arange(-(-n // 64), dtype=np.int64) * 64 * 300)
        self.codes = (np.arange(n) % 100).astype(np.int16)

    def __len__(self):
        return len(self.table)

    def fingerprint(self):
        return f"cells:{len(self)}"

    def read(self, rows):
        return np.stack([rows, self.table.lengths[rows], self.codes[rows]], axis=1)


def strategies():
    return {
        "indices": BlockShuffling(16, indices=ROWS),
        "weights": BlockWeightedSampling(16, indices=ROWS, weights=WEIGHTS, aligned_to="collection"),
        "labels": ClassBalancedSampling(LABELS, 16, total_size=N),
        "groups": GroupedSampling(LABELS, set_size=8),
    }


def files():
    """List the nameless files that this process has open."""
    gc.collect()
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [path for link in links if "scdataset" in (path := str(link.readlink()))]


@pytest.mark.parametrize("name", ["indices", "weights", "labels", "groups"])
def test_a_dataset_is_sent_without_its_arrays_and_reads_the_same(name):
    dataset = scDataset(Cells(), strategies()[name], 64, 16, seed=0)
    pickled = sent(dataset)
    assert len(pickled) < 50_000
    again = pickle.loads(pickled)
    rows, other = (one.strategy.order(N, seed=0, epoch=0).rows(0, 5_000) for one in (dataset, again))
    np.testing.assert_array_equal(rows, other)
    np.testing.assert_array_equal(dataset.collection.read(rows), again.collection.read(rows))


def test_workers_that_start_from_nothing_get_the_same_batches():
    dataset = scDataset(Cells(), Streaming(indices=ROWS), 20_000, 2)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=CONTEXT)
    for batch, here in zip(loader, dataset, strict=True):
        np.testing.assert_array_equal(batch, here)


def test_other_pickles_hold_all_arrays():
    dataset = scDataset(Cells(), strategies()["weights"], 64, seed=0)
    pickled = pickle.dumps(dataset)
    assert len(pickled) > dataset.collection.codes.nbytes + WEIGHTS.nbytes
    assert not files()


def test_small_arrays_are_pickled():
    dataset = scDataset(Cells(10_000), BlockShuffling(16, indices=np.arange(0, 10_000, 3)), 64, seed=0)
    again = pickle.loads(sent(dataset))
    assert not files()
    assert again.collection.codes.flags.writeable  # as those that are mapped: compiled for one kind of array
    np.testing.assert_array_equal(again.collection.codes, dataset.collection.codes)


def test_all_workers_get_one_file_which_is_gone_with_the_dataset():
    dataset = scDataset(Cells(), Streaming(), 64)
    first, second = sent(dataset), sent(dataset)
    assert len(set(files())) == len(dataset._buffers._in_use) + 1 == 1
    assert pickle.loads(first).collection.codes[-1] == pickle.loads(second).collection.codes[-1]


def test_arrays_that_were_written_to_are_sent_anew():
    data = np.zeros(N)
    dataset = scDataset(data, Streaming(), 64)
    before = pickle.loads(sent(dataset))
    data[-1] = 1
    after = pickle.loads(sent(dataset))
    assert (before.collection[-1], after.collection[-1]) == (0, 1)


def test_a_process_may_write_to_its_arrays_and_no_other_sees_it():
    dataset = scDataset(Cells(), Streaming(), 64)
    pickled = sent(dataset)
    one, other = pickle.loads(pickled), pickle.loads(pickled)
    one.collection.codes[:] = -1
    assert type(one.collection.codes) is np.ndarray
    np.testing.assert_array_equal(other.collection.codes, dataset.collection.codes)


def test_a_system_without_files_in_memory_has_temporary_ones_without_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "other")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dataset = scDataset(Cells(), Streaming(), 64)
    again = pickle.loads(sent(dataset))
    assert not [path for path in tmp_path.iterdir() if "epochs" not in path.name]
    np.testing.assert_array_equal(again.collection.codes, dataset.collection.codes)


def test_arrays_are_pickled_where_no_file_can_be_made(monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_buffers, "_nameless_file", full)
    dataset = scDataset(Cells(), strategies()["weights"], 64, seed=0)
    again = pickle.loads(sent(dataset))
    assert again.collection.codes.flags.writeable
    np.testing.assert_array_equal(again.strategy.weights, dataset.strategy.weights)


def left_behind(*processes: int) -> set[Path]:
    """Return the files of this library and of torch for these processes, and no others, such as joblib's."""
    of_torch = {path for pid in processes for path in Path("/dev/shm").glob(f"torch_{pid}_*")}
    names = [f"*scdataset*-{pid}{end}" for pid in processes for end in ("", ".*")]  # tests run beside this one
    places = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    of_ours = {path for place in places for name in names for path in place.glob(name)}
    return of_torch | {path for path in of_ours if "epochs" not in path.name}


def killed_at_the_third_batch(batch):
    """End the worker in its own code; killed from outside, it can hold a lock of torch's, which then waits for ever."""
    if batch[0, 0] == 128:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


def test_a_worker_that_is_killed_leaves_no_file():
    dataset = scDataset(Cells(), Streaming(), 64, prefetch=0, batch_transform=killed_at_the_third_batch)
    before = left_behind(os.getpid())
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context=CONTEXT)
    batches = iter(loader)
    next(batches)
    (worker,) = batches._workers
    with pytest.raises((RuntimeError, OSError, EOFError)):
        list(batches)
    processes = os.getpid(), worker.pid
    del batches, loader, dataset
    assert not files()
    assert not left_behind(*processes) - before
