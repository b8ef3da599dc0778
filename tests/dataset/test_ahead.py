"""Windows read in the background: the same batches, a bounded number of windows, and an end to the thread."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest

from scdataset import BlockShuffling, Streaming, scDataset
from scdataset.dataset import ahead
from scdataset.engine import threads


class Background:
    """A collection that may be read in the background, and notes what was asked of it."""

    reads_ahead = True
    reads_whole = False
    is_remote = False

    def __init__(self, fail_at=None):
        self.announced, self.started, self.readers, self.finishers, self.fail_at = [], [], set(), set(), fail_at

    def __len__(self):
        return 200

    def announce(self, rows):
        self.announced.append(rows)
        return 0

    def read(self, rows):
        self.started.append(rows)
        self.readers.add(threading.current_thread().name)
        if len(self.started) == self.fail_at:
            message = "the disk is gone"
            raise OSError(message)
        return rows

    begin = read

    def finish(self, rows, begun):
        self.finishers.add(threading.current_thread().name)
        assert np.array_equal(rows, begun)
        return begun

    def fingerprint(self):
        return "background"


def make(collection, prefetch):
    return scDataset(collection, BlockShuffling(4), batch_size=5, fetch_factor=4, seed=0, prefetch=prefetch)


def of_ours():
    gc.collect()
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("scdataset-ahead")]


@pytest.mark.parametrize("prefetch", [1, 3, 50])
def test_batches_are_those_of_reading_when_asked(prefetch):
    ahead, asked = Background(), Background()
    batches = [batch.tolist() for batch in make(ahead, prefetch)]
    assert batches == [batch.tolist() for batch in make(asked, 0)]
    assert all(np.array_equal(a, b) for a, b in zip(ahead.announced, ahead.started, strict=True))
    assert all(name.startswith("scdataset-ahead") for name in ahead.readers)
    assert ahead.finishers == {threading.current_thread().name}
    assert asked.readers == {threading.current_thread().name}
    assert asked.announced == []


class Immediate(ThreadPoolExecutor):
    """Does in its thread all that it is given, before it returns."""

    def submit(self, function, *arguments):
        future = super().submit(function, *arguments)
        wait([future])
        return future


@pytest.mark.parametrize("prefetch", [1, 3])
def test_no_more_windows_are_read_than_were_asked_for(prefetch, monkeypatch):
    monkeypatch.setattr(threads, "ThreadPoolExecutor", Immediate)
    collection = Background()
    for number, _ in enumerate(make(collection, prefetch)):
        assert len(collection.started) == min(number // 4 + 1 + prefetch, 10)


class Distant(Background):
    """A collection in a store, each window of which takes so many requests."""

    is_remote = True

    def __init__(self, n_requests):
        super().__init__()
        self.n_requests, self.n_announced = n_requests, []

    def announce(self, rows):
        super().announce(rows)
        return self.n_requests

    def read(self, rows):
        self.n_announced.append(len(self.announced))
        return super().read(rows)

    begin = read


@pytest.mark.parametrize(("n_requests", "n_further"), [(500, 1), (128, 1), (127, 2), (40, 4), (0, 9)])
def test_windows_in_a_store_are_announced_until_connections_have_requests(n_requests, n_further, monkeypatch):
    monkeypatch.setattr(threads, "ThreadPoolExecutor", Immediate)
    collection = Distant(n_requests)
    assert sum(1 for _ in make(collection, 1)) == 40
    assert collection.n_announced == [2, *(min(k + n_further, 10) for k in range(2, 11))]


def test_windows_that_are_known_ahead_of_a_store_are_bounded_by_their_rows(monkeypatch):
    monkeypatch.setattr(threads, "ThreadPoolExecutor", Immediate)
    monkeypatch.setattr(ahead, "_ROWS_KNOWN", 50)
    collection = Distant(0)
    assert sum(1 for _ in make(collection, 1)) == 40
    assert collection.n_announced == [2, *(min(k + 2, 10) for k in range(2, 11))]


def test_what_announcing_raises_is_left_to_the_read(monkeypatch):
    collection = Background()
    monkeypatch.setattr(collection, "announce", lambda rows: rows[len(rows)])
    assert sum(1 for _ in make(collection, 1)) == 40


def test_breaking_out_ends_the_thread():
    batches = iter(make(Background(), 2))
    next(batches)
    assert len(of_ours()) == 1
    del batches
    assert of_ours() == []


def test_an_error_of_the_background_comes_where_its_window_would():
    dataset = make(Background(fail_at=3), 2)
    seen = []
    with pytest.raises(OSError, match="the disk is gone"):
        seen.extend(dataset)
    assert len(seen) == 8
    assert of_ours() == []


def test_the_garbage_collector_does_not_wait_for_the_thread():
    begun, gate, in_time = threading.Event(), threading.Event(), []

    class Waiting(Background):
        def begin(self, rows):
            if in_time:
                begun.set()
            in_time.append(not in_time or gate.wait(10))
            return rows

    iterator = iter(make(Waiting(), prefetch=1))
    next(iterator)
    begun.wait()
    cycle = [iterator]
    cycle.append(cycle)
    del iterator, cycle
    gc.collect()
    gate.set()  # as a lock that whoever collects holds
    for thread in threading.enumerate():
        if thread.name.startswith("scdataset-ahead"):
            thread.join()
    assert all(in_time)


def test_closing_an_iterator_ends_the_thread_and_the_batches():
    batches = iter(make(Background(), 2))
    next(batches)
    batches.close()
    assert of_ours() == []
    assert list(batches) == []


class Rows:
    """An array that a weak reference can see."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        return Rows(self.values[rows])


class Held:
    """A collection that counts, when it reads, how many of the windows before are held."""

    def __init__(self):
        self.windows, self.counts = weakref.WeakSet(), []

    def __len__(self):
        return 40

    def __getitem__(self, rows):
        self.counts.append(len(self.windows))
        window = Rows(np.asarray(rows))
        self.windows.add(window)
        return window


def test_a_window_is_let_go_of_before_the_next_is_read():
    held = Held()
    assert sum(1 for _ in scDataset(held, Streaming(), 5, 2, batch_transform=len)) == 8
    assert held.counts[-4:] == [0, 0, 0, 0]
