"""The memory of a loop, from the sizes of its windows."""

import numpy as np
import pytest

from scdataset.engine.buffers import BufferPool, is_reused
from scdataset.insight.memory import WindowSizes

MB = 1 << 20


def sizes(n_whole, rest=0, *, is_pooled=True):
    return WindowSizes.from_batches(n_whole * 4 + rest, 4, 4 * MB, MB, is_pooled=is_pooled)


@pytest.mark.parametrize(
    ("windows", "held"),
    [
        (sizes(9), 8),
        (sizes(9, 3), 8),  # the last one takes the memory of one before
        (sizes(9, 1), 9),
        (sizes(9, 1, is_pooled=False), 8),
        (sizes(1, 3), 7),
        (sizes(1), 4),
        (sizes(0, 2), 2),
    ],
)
def test_windows_in_memory_are_those_in_use_and_a_last_one_too_small_for_the_memory_of_those_before(windows, held):
    assert windows.held(2) == held * MB


def test_no_windows_take_no_memory():
    assert sizes(9, 1).held(0) == 0


@pytest.mark.parametrize("then", [4.0, 2.3, 2.0, 1.0, 4.4, 5.0])
def test_memory_is_said_to_be_reused_exactly_where_it_is(then):
    pool, n_bytes, n_bytes_then = BufferPool(), 4 * MB, round(then * MB)
    first = pool.empty(n_bytes, np.uint8)
    where = first.__array_interface__["data"][0]
    del first
    again = pool.empty(n_bytes_then, np.uint8)
    assert (again.__array_interface__["data"][0] == where) is is_reused(n_bytes, n_bytes_then)
