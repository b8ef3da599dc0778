"""Memory that is used again when the last view of it has died, and never before."""

import gc
import pickle
import threading

import numpy as np
import pytest
import scipy.sparse
import torch

from scdataset.engine.slabs import SlabPool

SIZE = 1 << 18  # a megabyte of float32


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_array_has_died():
    slabs = SlabPool()
    first = slabs.empty(SIZE, np.float32)
    where = address(first)
    del first
    assert address(slabs.empty(SIZE, np.int32)) == where


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
    slabs = SlabPool()
    first = slabs.empty(SIZE, np.float32)
    where = address(first)
    held = VIEWS[view](first)
    del first
    gc.collect()
    others = [slabs.empty(SIZE, np.float32) for _ in range(6)]
    assert where not in map(address, others)
    assert not slabs._idle
    del held
    gc.collect()
    assert [address(memory) for memory in slabs._idle] == [where]


def test_batches_that_are_kept_for_an_epoch_keep_their_values():
    slabs = SlabPool()
    kept = []
    for number in range(12):
        slabs.empty(SIZE, np.float32)[:] = -1  # dies at once
        window = slabs.empty(SIZE, np.float32)
        window[:] = number
        kept.append((number, window[number : number + 3], torch.from_numpy(window)[-4:]))
        del window
    for number, rows, tensor in kept:
        assert (rows == number).all()
        assert (tensor == number).all()


def test_few_idle_slabs_are_kept():
    slabs = SlabPool()
    held = [slabs.empty(SIZE, np.float32) for _ in range(20)]
    del held
    assert len(slabs._idle) == 4


def test_windows_of_nearly_the_same_size_share_memory_and_much_smaller_ones_do_not():
    slabs = SlabPool()
    where = address(slabs.empty(4 * SIZE, np.float32))
    assert address(slabs.empty(3 * SIZE, np.float32)) == where
    assert address(slabs.empty(SIZE, np.float32)) != where
    assert address(slabs.empty(4 * SIZE, np.float32)) == where


def test_small_arrays_do_not_hold_slabs():
    slabs = SlabPool()
    small = slabs.empty(10, np.float64)
    assert small.base is None
    assert slabs.empty(0, np.float64).shape == (0,)


@pytest.mark.parametrize("dtype", ["?", "u1", "f2", "i4", "u8", "f8"])
def test_arrays_have_the_type_and_size_asked_for(dtype):
    array = SlabPool().empty(2 * SIZE + 1, dtype)
    assert array.shape == (2 * SIZE + 1,)
    assert array.dtype == dtype
    assert array.flags.writeable


def test_a_view_that_dies_in_a_cycle_comes_back_through_the_garbage_collector_in_any_statement():
    slabs = SlabPool()
    gc_was = gc.get_threshold()
    gc.set_threshold(1)  # so that it also runs within the pool's own statements
    try:
        for _ in range(50):
            cycle = [slabs.empty(SIZE, np.float32)]
            cycle.append(cycle)
    finally:
        gc.set_threshold(*gc_was)
    gc.collect()


def test_threads_never_share_memory():
    slabs = SlabPool()
    mixed_up = []

    def worker(number):
        for _ in range(200):
            array = slabs.empty(SIZE, np.float32)
            array[::4096] = number
            if (array[::4096] != number).any():
                mixed_up.append(number)

    workers = [threading.Thread(target=worker, args=(number,)) for number in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert not mixed_up


def test_a_pool_pickles_without_its_memory():
    slabs = SlabPool()
    slabs.empty(SIZE, np.float32)
    assert len(pickle.dumps(slabs)) < 200
