"""However an iteration ends, nothing stays behind and nothing hangs."""

import gc
import itertools
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.children import CONTEXT, output_of
from tests.examples import often
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, scDataset


def make(**hooks):
    return scDataset(np.arange(10_000), BlockShuffling(4), batch_size=10, fetch_factor=4, seed=0, **hooks)


def held():
    descriptors = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    return len(multiprocessing.active_children()), threading.active_count(), descriptors


def settles_at(expected):
    """Wait until no more is held than expected: a loader ends its workers when it is freed, which takes a moment."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        gc.collect()
        if all(now <= then for now, then in zip(held(), expected, strict=True)):
            return True
        time.sleep(0.05)
    return False


def break_out_of(batches):
    for _ in batches:
        break


@pytest.mark.parametrize("num_workers", [0, 2])
def test_breaking_out_leaves_nothing_behind(num_workers):
    dataset = make()
    break_out_of(DataLoader(dataset, None, num_workers=num_workers))  # what torch itself keeps, it keeps from here on
    gc.collect()
    before = held()
    for _ in range(3):
        break_out_of(DataLoader(dataset, None, num_workers=num_workers))
        break_out_of(dataset)
    assert settles_at(before)


class FailAt:
    """Fails when it is called for the n-th time."""

    def __init__(self, call):
        self.calls_left = call

    def __call__(self, *arguments):
        self.calls_left -= 1
        if self.calls_left == 0:
            message = "on purpose"
            raise KeyError(message)
        return arguments[0][arguments[1]] if len(arguments) > 1 else arguments[0]


@pytest.mark.parametrize(
    ("hook", "num_workers"),
    often(
        itertools.product(["fetch_callback", "fetch_transform", "batch_callback", "batch_transform"], [0, 2]),
        lambda hook, num_workers: num_workers == 0 or hook == "fetch_transform",
    ),
)
def test_an_error_in_a_hook_ends_the_epoch_with_that_error(hook, num_workers):
    break_out_of(DataLoader(make(), None, num_workers=num_workers))  # as above
    gc.collect()
    before = held()
    with pytest.raises(KeyError, match="on purpose"):
        list(DataLoader(make(**{hook: FailAt(2)}), None, num_workers=num_workers))
    assert settles_at(before)


KILLED = """
import os, signal
import numpy as np
from torch.utils.data import DataLoader, get_worker_info
from scdataset import BlockShuffling, scDataset

def kill_worker(batch):
    if get_worker_info() is not None and get_worker_info().id == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory is short
    return batch

dataset = scDataset(np.arange(10_000), BlockShuffling(4), 10, 4, seed=0, batch_transform=kill_worker)
try:
    list(DataLoader(dataset, None, num_workers=2))
except RuntimeError as error:
    print(error)
assert len(list(dataset)) == 1000
"""


def test_a_killed_worker_is_an_error():
    printed = output_of(KILLED)
    assert "killed by signal" in printed or "exited unexpectedly" in printed


def iterate_for_ever(num_workers, connection):
    context = "fork" if num_workers else None
    loader = DataLoader(make(), None, num_workers=num_workers, multiprocessing_context=context)
    for number, _ in enumerate(itertools.chain.from_iterable(itertools.repeat(loader))):
        if number == 3:
            connection.send("running")


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_process_and_its_workers(number, num_workers):
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=iterate_for_ever, args=(num_workers, there))
    process.start()
    there.close()
    assert here.recv() == "running"
    os.kill(process.pid, number)
    with pytest.raises(EOFError):  # when no worker holds the pipe any more
        here.recv()
    process.join()
    assert process.exitcode != 0
