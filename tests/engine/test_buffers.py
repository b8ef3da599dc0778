"""Memory that is used again when the last view of it has died, and never before."""

import gc
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st

from scdataset.engine import buffers as engine_buffers
from scdataset.engine.buffers import BufferPool, give_back_unused, part

SIZE = 1 << 18  # a megabyte of float32


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_array_has_died():
    buffers = BufferPool()
    first = buffers.empty(SIZE, np.float32)
    where = address(first)
    del first
    assert address(buffers.empty(SIZE, np.int32)) == where


VIEWS = {
    "slice": lambda array: array[5:9],
    "shape": lambda array: array.reshape(2, -1).T[3],
    "type": lambda array: array.view(np.uint8)[::7],
    "tensor": torch.from_numpy,
    "slice of a tensor": lambda array: torch.from_numpy(array)[3:5],
    "memoryview": lambda array: memoryview(array)[3:],
    "sparse": lambda array: scipy.sparse.csr_matrix(
        (array, np.zeros(SIZE, np.int32), np.array([0, SIZE], np.int32)), shape=(1, 1)
    ),
}


@pytest.mark.parametrize("view", VIEWS)
def test_any_view_keeps_it(view):
    buffers = BufferPool()
    first = buffers.empty(SIZE, np.float32)
    where = address(first)
    held = VIEWS[view](first)
    del first
    gc.collect()
    others = [buffers.empty(SIZE, np.float32) for _ in range(6)]
    assert where not in map(address, others)
    assert not buffers._idle
    del held
    gc.collect()
    assert [memory.address for memory in buffers._idle] == [where]


def test_batches_that_are_kept_for_an_epoch_keep_their_values():
    buffers = BufferPool()
    kept = []
    for number in range(12):
        buffers.empty(SIZE, np.float32)[:] = -1  # dies at once
        window = buffers.empty(SIZE, np.float32)
        window[:] = number
        kept.append((number, window[number : number + 3], torch.from_numpy(window)[-4:]))
        del window
    for number, rows, tensor in kept:
        assert (rows == number).all()
        assert (tensor == number).all()


def test_few_idle_buffers_are_retained():
    buffers = BufferPool()
    held = [buffers.empty(SIZE, np.float32) for _ in range(20)]
    del held
    assert len(buffers._idle) == 4


def test_windows_of_nearly_the_same_size_share_memory_and_much_smaller_ones_do_not():
    buffers = BufferPool()
    where = address(buffers.empty(4 * SIZE, np.float32))
    assert address(buffers.empty(3 * SIZE, np.float32)) == where
    assert address(buffers.empty(SIZE, np.float32)) != where
    assert address(buffers.empty(4 * SIZE, np.float32)) == where


def test_small_arrays_do_not_hold_buffers():
    buffers = BufferPool()
    small = buffers.empty(10, np.float64)
    assert small.base is None
    assert buffers.empty(0, np.float64).shape == (0,)


@pytest.mark.parametrize("dtype", ["?", "u1", "f2", "i4", "u8", "f8"])
def test_arrays_have_the_type_and_size_asked_for(dtype):
    array = BufferPool().empty(2 * SIZE + 1, dtype)
    assert array.shape == (2 * SIZE + 1,)
    assert array.dtype == dtype
    assert array.flags.writeable


def test_a_view_that_dies_in_a_cycle_comes_back_through_the_garbage_collector_in_any_statement():
    buffers = BufferPool()
    gc_was = gc.get_threshold()
    gc.set_threshold(1)  # so that it also runs within the pool's own statements
    try:
        for _ in range(50):
            cycle = [buffers.empty(SIZE, np.float32)]
            cycle.append(cycle)
    finally:
        gc.set_threshold(*gc_was)
    gc.collect()


def test_threads_never_share_memory():
    buffers = BufferPool()
    mixed_up = []

    def worker(number):
        for _ in range(200):
            array = buffers.empty(SIZE, np.float32)
            array[::4096] = number
            if (array[::4096] != number).any():
                mixed_up.append(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(worker, range(4)))
    assert not mixed_up


def test_a_pool_pickles_without_its_memory():
    buffers = BufferPool()
    buffers.empty(SIZE, np.float32)
    assert len(pickle.dumps(buffers)) < 200


def resident():
    """Return the memory of this process that is not pages of files, in bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024


@given(st.lists(st.integers(0, 1 << 19), min_size=2, max_size=12), st.data())
def test_parts_keep_their_values_whatever_is_given_back_around_them(cuts, data):
    buffers = BufferPool()
    window = buffers.empty(1 << 19, np.int32)
    window[:] = np.arange(window.size)
    bounds = sorted({0, *cuts, window.size})
    parts = {start: part(window, start, stop) for start, stop in pairwise(bounds)}
    del window
    dropped = data.draw(st.permutations(list(parts)))
    for start in dropped[: data.draw(st.integers(0, len(dropped)))]:
        del parts[start]
    give_back_unused()
    for start in dropped:
        parts.pop(start, None)
        assert all(np.array_equal(kept, np.arange(len(kept)) + first) for first, kept in parts.items())
    assert len(buffers._idle) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of the process is read from /proc")
def test_a_part_that_is_kept_costs_its_own_size():
    window = BufferPool().empty(1 << 26, np.uint8)
    window[:] = 1
    kept = part(window, 1 << 25, (1 << 25) + (1 << 20))
    before = resident()
    del window
    give_back_unused()
    assert before - resident() > 60 << 20
    assert (kept == 1).all()


def test_the_last_part_of_a_window_costs_no_pages_while_the_loop_goes_on():
    """A consumer holds a batch until it has the next one: every window would be given back, and faulted in again."""
    buffers = BufferPool()
    for _ in range(8):
        window = buffers.empty(SIZE, np.float32)
        window[:] = 1
        last = part(window, 0, 4)
        del window
        assert not any(buffer()._is_trimmed for buffer in buffers_over())
    assert len(last) == 4


def buffers_over():
    from scdataset.engine import buffers

    return [buffer for buffer in buffers._over if buffer() is not None]


def test_windows_long_over_are_given_back_while_the_loop_goes_on():
    buffers = BufferPool()
    kept = []
    for number in range(8):
        window = buffers.empty(SIZE, np.float32)
        window[:] = number
        kept.append(part(window, 0, 4))
        del window
    assert len(buffers_over()) == 4
    assert [batch[0] for batch in kept] == list(range(8))


def test_a_part_is_only_of_a_buffer_and_of_rows_that_follow_each_other():
    buffers = BufferPool()
    assert part(np.empty(SIZE), 0, 4) is None
    assert part(buffers.empty(10, np.float64), 0, 4) is None
    window = buffers.empty(SIZE, np.float32).reshape(-1, 8)
    assert part(window.T, 0, 4) is None
    assert np.shares_memory(part(window, 2, 4), window)
    assert part(part(window, 2, 10), 0, 4) is None


class Locked:
    """Pages that a device may read."""

    def __init__(self, log, address):
        self.log, self.address = log, address

    def wait(self):
        self.log.append(("wait", self.address))

    def unlock(self):
        self.log.append(("unlock", self.address))


@pytest.fixture
def log(monkeypatch):
    log = []

    def lock(address, n_bytes):
        log.append(("lock", address))
        return Locked(log, address)

    monkeypatch.setattr(engine_buffers, "_lock", lock)
    return log


def test_windows_are_locked_once_and_waited_for_before_their_memory_is_used_again(log):
    buffers = pickle.loads(pickle.dumps(BufferPool(is_of_windows=True)))
    window, other = buffers.empty(SIZE, np.float32), buffers.empty(SIZE, np.float32)
    first, second = window.ctypes.data, other.ctypes.data
    assert log == [("lock", first), ("lock", second)]
    del window
    window = buffers.empty(SIZE, np.float32)
    assert log[2:] == [("wait", first)]
    del window, other, buffers
    gc.collect()
    assert sorted(log[3:]) == sorted((what, where) for where in (first, second) for what in ("wait", "unlock"))


def test_memory_that_was_there_before_is_locked_when_it_is_used_again(monkeypatch):
    buffers = BufferPool(is_of_windows=True)
    where = buffers.empty(SIZE, np.float32).ctypes.data
    locked = []
    monkeypatch.setattr(engine_buffers, "_lock", lambda address, _: locked.append(address))
    buffers.empty(SIZE, np.float32)
    assert locked == [where]
    buffers.empty(SIZE, np.float32)
    assert locked == [where]  # it could not be locked, and is not tried again


def test_other_memory_is_not_locked(log):
    BufferPool().empty(SIZE, np.float32)
    assert log == []


@pytest.mark.usefixtures("log")
def test_pages_that_are_locked_are_not_given_back():
    buffers = BufferPool(is_of_windows=True)
    window = buffers.empty(SIZE, np.float32)
    window[:] = 3
    batch = part(window, 0, 2)
    memory = batch.base.base._buffer.memory
    del window
    give_back_unused()
    assert (memory.array[: 4 * SIZE].view(np.float32) == 3).all()


def window_that_is_over(pool):
    """Return the last batch of a window, all of which but that has died."""
    whole = pool.empty(8 * SIZE, np.float32)
    return part(whole, 0, 9)


@pytest.fixture
def wait_for_memory(monkeypatch):
    """A function that has this thread wait for the memory of windows, while the test lasts."""
    monkeypatch.setattr(engine_buffers, "_reader", threading.local())
    return engine_buffers.wait_for_memory


def test_a_thread_that_reads_ahead_waits_for_the_last_batch_of_a_window(monkeypatch, wait_for_memory):
    pool, held = BufferPool(), []
    held.append(window_that_is_over(pool))
    where = address(held[0])
    monkeypatch.setattr(engine_buffers.time, "sleep", lambda _: held.clear())  # the loop drops it in the meantime
    wait_for_memory()
    assert address(pool.empty(8 * SIZE, np.float32)) == where


def test_nothing_waits_for_batches_that_are_kept(monkeypatch, wait_for_memory):
    pauses = []
    monkeypatch.setattr(engine_buffers.time, "sleep", pauses.append)
    monkeypatch.setattr(engine_buffers.time, "monotonic", lambda: float(len(pauses)))
    pool, kept = BufferPool(), []
    wait_for_memory()
    kept.extend(window_that_is_over(pool) for _ in range(9))
    assert 0 < len(pauses) <= 3
    assert len({address(one) for one in kept}) == 9


@pytest.mark.parametrize("is_ahead", [False, True])
def test_only_a_thread_that_reads_ahead_waits_and_only_for_windows_of_its_pool(monkeypatch, wait_for_memory, is_ahead):
    monkeypatch.setattr(engine_buffers.time, "sleep", lambda _: pytest.fail("it waits"))
    last, other = BufferPool(), BufferPool()
    held = window_that_is_over(last)
    if is_ahead:
        wait_for_memory()
        assert address(other.empty(8 * SIZE, np.float32)) != address(held)
    else:
        assert address(last.empty(8 * SIZE, np.float32)) != address(held)
