"""Every container gives the rows that every strategy asks for, bit for bit."""

import numpy as np
import pytest
from tests.collections.reference import IDS, N_ROWS, TYPES
from tests.examples import rare

from scdataset import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, Streaming, scDataset

STRATEGIES = {
    "in order": Streaming,
    "in order, shuffled": lambda: Streaming(shuffle=True),
    "blocks": lambda: BlockShuffling(block_size=4),
    "weighted": lambda: BlockWeightedSampling(block_size=3, weights=IDS % 5, total_size=50),
    "balanced": lambda: ClassBalancedSampling(TYPES, block_size=2),
}


@pytest.fixture(params=["in order", "weighted", *rare("in order, shuffled", "blocks", "balanced")])
def strategy(request):
    return STRATEGIES[request.param]()


@pytest.mark.parametrize("batch_size", [5, *rare(1, 50)])
def test_every_container_gives_the_rows_that_the_strategy_asks_for(container, strategy, batch_size):
    asked = [batch.tolist() for batch in scDataset(range(N_ROWS), strategy, batch_size, fetch_factor=3, seed=4)]
    assert [container.rows(batch) for batch in container.dataset(strategy, batch_size)] == asked


@pytest.mark.parametrize("batch_size", [1, 5, 50])
def test_a_range_gives_the_rows_of_the_order(strategy, batch_size):
    dataset = scDataset(range(N_ROWS), strategy, batch_size, fetch_factor=3, seed=4)
    batches = list(dataset)
    order = strategy.order(N_ROWS, 4, 0)
    size = batch_size * 3
    for start in range(0, len(order), size):
        window = np.concatenate(batches[start // batch_size : start // batch_size + 3])
        ordered = order.rows(start, min(start + size, len(order)))
        assert sorted(window) == sorted(ordered)
        assert order.shuffles or np.array_equal(window, ordered)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert len(batches) == len(dataset)
