"""An epoch over a billion rows starts and is read without any array of that size."""

import sys
import tracemalloc

import numpy as np
import pytest

from scdataset.strategy import BlockShuffling, BlockWeightedSampling, Streaming

N_ROWS = 10**9
EVERY_THIRD = range(0, N_ROWS, 3)
MEGABYTE = 2**20
STRATEGIES = {
    "streaming": lambda indices: Streaming(indices),  # noqa: PLW0108 all alike
    "streaming shuffled": lambda indices: Streaming(indices, shuffle=True),
    "blocks of 1": lambda indices: BlockShuffling(1, indices),
    "blocks": lambda indices: BlockShuffling(64, indices),
    "blocks drop_last": lambda indices: BlockShuffling(7, indices, drop_last=True),
    "draws": lambda indices: BlockWeightedSampling(8, indices),
    "few draws": lambda indices: BlockWeightedSampling(8, indices, total_size=5000),
    "more draws than rows": lambda indices: BlockWeightedSampling(8, indices, total_size=3 * N_ROWS),
    "rounds": lambda indices: BlockWeightedSampling(8, indices, replace=False, sampling_size=20_000),
}


class Billion:
    def __len__(self):
        return N_ROWS


def _read_some(strategy):
    assert strategy.get_len(Billion()) > 0
    for epoch in range(2):
        order = strategy.order(N_ROWS, 3, epoch)
        for start in (0, len(order) // 2, len(order) - 1000):
            rows = order.rows(start, start + 1000)
            assert rows.shape == (1000,)
            assert rows.min() >= 0
            assert rows.max() < N_ROWS


def _peak_resident_bytes():
    resource = pytest.importorskip("resource")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("indices", [None, EVERY_THIRD], ids=["all rows", "every third"])
def test_a_billion_rows_need_no_array_of_their_size(name, indices):
    _read_some(STRATEGIES[name](None))  # compiles
    resident = _peak_resident_bytes()
    tracemalloc.start()
    try:
        strategy = STRATEGIES[name](indices)
        _read_some(strategy)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MEGABYTE  # Python's and numpy's own allocations
    assert _peak_resident_bytes() - resident < 64 * MEGABYTE  # and what compiled code allocates and touches


def test_rows_of_a_gapped_range_are_rows_of_that_range():
    rows = BlockShuffling(16, EVERY_THIRD).order(N_ROWS, 0, 0).rows(10**8, 10**8 + 5000)
    assert not (rows % 3).any()
    assert np.unique(rows).size == 5000


def test_a_stretch_of_a_billion_rows_has_whole_blocks_and_no_row_twice():
    rows = BlockShuffling(50).order(N_ROWS, 0, 0).rows(7 * 10**8, 7 * 10**8 + 100_000)
    blocks = rows.reshape(-1, 50)
    assert np.array_equal(blocks, blocks[:, :1] + np.arange(50))
    assert not (blocks[:, 0] % 50).any()
    assert np.unique(rows).size == 100_000
