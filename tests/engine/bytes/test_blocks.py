"""Ranges of bytes as blocks."""

import numpy as np
import pytest

from scdataset.engine.bytes.blocks import blocks_of

BLOCK = 10


@pytest.mark.parametrize("ranges", [[], [(0, 0)], [(25, 0)], [(0, 1)], [(9, 2)], [(20, 10)], [(35, 40)]])
@pytest.mark.parametrize("others", [[], [(5, 0)], [(38, 15), (90, 1)]])
def test_blocks_are_those_that_hold_a_byte_of_a_range(ranges, others):
    offsets, sizes = np.array([*ranges, *others], np.int64).reshape(-1, 2).T
    held = {byte // BLOCK for offset, size in [*ranges, *others] for byte in range(offset, offset + size)}
    found = blocks_of(offsets, sizes, BLOCK)
    assert found.tolist() == sorted(held)
    assert found.dtype == np.int64
