"""However an iteration ends, nothing stays behind and nothing hangs."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, scDataset


def make(**hooks):
    return scDataset(np.arange(10_000), BlockShuffling(4), batch_size=10, fetch_factor=4, seed=0, **hooks)


def held():
    descriptors = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    return len(multiprocessing.active_children()), threading.active_count(), descriptors


@pytest.mark.parametrize("num_workers", [0, 2])
def test_breaking_out_leaves_nothing_behind(num_workers):
    dataset = make()
    next(iter(DataLoader(dataset, None, num_workers=num_workers)))  # what torch itself keeps, it keeps from here on
    before = held()
    for _ in range(3):
        for _ in DataLoader(dataset, None, num_workers=num_workers):
            break
        for _ in dataset:
            break
    assert held() == before


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


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("hook", ["fetch_callback", "fetch_transform", "batch_callback", "batch_transform"])
def test_an_error_in_a_hook_ends_the_epoch_with_that_error(hook, num_workers):
    dataset = make(**{hook: FailAt(2)})
    loader = DataLoader(dataset, None, num_workers=num_workers)
    with pytest.raises(KeyError, match="on purpose"):
        list(loader)
    assert not multiprocessing.active_children()


class KillWorker:
    """Ends the process it runs in as the kernel does when memory is short."""

    def __call__(self, batch):
        if multiprocessing.parent_process() is not None and batch[0] % 3 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("default")
def test_a_killed_worker_is_an_error():
    with pytest.raises(RuntimeError, match="killed|exited unexpectedly"):
        list(DataLoader(make(batch_transform=KillWorker()), None, num_workers=2))
    assert not multiprocessing.active_children()
    assert len(list(make())) == 1000


INTERRUPTED = """
import sys, time
import numpy as np
from torch.utils.data import DataLoader
from scdataset import BlockShuffling, scDataset

def slowly(batch):
    time.sleep(0.01)
    return batch

dataset = scDataset(np.arange(10**6), BlockShuffling(4), 10, 4, seed=0, batch_transform=slowly)
for i, batch in enumerate(DataLoader(dataset, None, num_workers=int(sys.argv[1]))):
    if i == 3:
        print("running", flush=True)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_process_and_its_workers(number, num_workers):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(num_workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "running\n"
    process.send_signal(number)
    process.communicate(timeout=30)  # ends only when no worker holds the pipes any more
    assert process.returncode != 0
