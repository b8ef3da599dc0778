"""BlockShuffling: blocks of neighbouring selected rows in uniformly random order.

Statistical tests use fixed seeds: they give the same answer on every run. Another generator, as good as this one, would
fail each check with a chance of `FALSE_ALARM`.
"""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.examples import examples

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy import BlockShuffling

FALSE_ALARM = 1e-4
SEEDS = 4000


@st.composite
def orders(draw, max_rows=400):
    """Return the selected rows, the block size, and the rows of one epoch."""
    n = draw(st.integers(1, max_rows))
    gap = draw(st.integers(1, 5))
    selected = np.flatnonzero(np.arange(n) % gap == 0)
    indices = draw(st.sampled_from([None, selected, selected.tolist(), range(0, n, gap), np.arange(n) % gap == 0]))
    selected = np.arange(n) if indices is None else selected
    block_size = draw(st.integers(1, 50))
    drop_last = draw(st.booleans())
    strategy = BlockShuffling(block_size, indices, drop_last)
    order = strategy.order(n, draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 100)))
    kept = selected.size - (selected.size % block_size if drop_last else 0)
    assert len(order) == strategy.get_len(range(n)) == kept
    return selected[:kept], block_size, order.rows(0, kept)


@settings(deadline=None, max_examples=examples(200))
@given(orders())
def test_every_selected_row_comes_once_but_the_last_that_fill_no_block_if_dropped(epoch):
    selected, _, rows = epoch
    assert np.array_equal(np.sort(rows), selected)


@settings(deadline=None, max_examples=examples(200))
@given(orders())
def test_blocks_are_neighbours_among_the_selected_rows(epoch):
    selected, block_size, rows = epoch
    places = np.searchsorted(selected, rows)
    begin = places[places % block_size == 0]
    cut = [np.arange(first, min(first + block_size, selected.size)) for first in begin]
    assert np.array_equal(np.concatenate([places[:0], *cut]), places)


def test_a_block_larger_than_the_collection_is_the_collection():
    assert BlockShuffling(100).get_indices(range(7), seed=3).tolist() == list(range(7))
    assert BlockShuffling(100, drop_last=True).get_len(range(7)) == 0
    assert BlockShuffling(100, drop_last=True).get_indices(range(7), seed=3).size == 0


def test_an_empty_collection_is_an_empty_epoch():
    assert BlockShuffling(4).get_indices(range(0), seed=0).size == 0


def test_rows_are_shuffled_inside_windows():
    assert BlockShuffling().order(10, 0, 0).shuffles


def test_epochs_and_seeds_differ_also_where_seed_plus_epoch_is_equal():
    orders = {BlockShuffling(1).order(50, seed, 10 - seed).rows(0, 50).tobytes() for seed in range(11)}
    assert len(orders) == 11


@pytest.mark.parametrize("epoch", range(3))
def test_the_short_block_is_equally_likely_in_every_place(epoch):
    places = np.zeros(7)
    for seed in range(SEEDS):
        rows = BlockShuffling(5).order(32, seed, epoch).rows(0, 32)
        places[np.flatnonzero(rows == 30)[0] // 5] += 1
    assert stats.chisquare(places).pvalue > FALSE_ALARM


@pytest.mark.parametrize("n_rows", [16, 18])
def test_all_orders_of_four_full_blocks_are_equally_likely(n_rows):
    index = {order: k for k, order in enumerate(permutations(range(4)))}
    drawn = []
    for seed in range(SEEDS):
        rows = BlockShuffling(4).order(n_rows, seed, 1).rows(0, n_rows)
        drawn.append(index[tuple((rows[(rows % 4 == 0) & (rows < 16)] // 4).tolist())])
    assert stats.chisquare(np.bincount(drawn, minlength=24)).pvalue > FALSE_ALARM


def test_the_place_of_the_short_block_does_not_depend_on_the_order_of_the_others():
    counts = np.zeros((2, 3))
    for seed in range(SEEDS):
        rows = BlockShuffling(2).order(5, seed, 0).rows(0, 5)
        counts[rows[rows < 4][0] // 2, np.flatnonzero(rows == 4)[0] // 2] += 1
    assert stats.chisquare(counts.ravel()).pvalue > FALSE_ALARM


@pytest.mark.parametrize("place", [0, 1, 2500, 4999])
def test_any_of_thousands_of_blocks_is_equally_likely_at_a_place(place):
    strategy = BlockShuffling(10)
    first = [strategy.order(50_000, 0, epoch).rows(place * 10, place * 10 + 1)[0] for epoch in range(SEEDS)]
    assert stats.chisquare(np.histogram(first, bins=50, range=(0, 50_000))[0]).pvalue > FALSE_ALARM


@pytest.mark.parametrize("block_size", [0, -3])
def test_a_block_size_out_of_bounds_is_named(block_size):
    with pytest.raises(ArgumentValueError, match=rf"block_size={block_size} .* an integer of at least 1"):
        BlockShuffling(block_size)


@pytest.mark.parametrize("block_size", [2.0, "8", True, None])
def test_a_block_size_that_is_no_integer_is_named(block_size):
    with pytest.raises(ArgumentTypeError, match=rf"block_size={block_size!r} is of type .* give an integer"):
        BlockShuffling(block_size)


@pytest.mark.parametrize("drop_last", [2, "no", None])
def test_drop_last_is_true_or_false(drop_last):
    with pytest.raises(ArgumentTypeError, match=r"drop_last=.* give True or False"):
        BlockShuffling(8, None, drop_last)


def test_numpy_integers_are_integers():
    assert BlockShuffling(np.int32(4)).get_indices(range(10), seed=np.uint8(3)).size == 10
