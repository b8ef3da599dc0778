"""What holds for the order of every strategy: length, random access, repetition, and no random state of others."""

import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

import scdataset as sd


class Reversed(sd.SamplingStrategy):
    _shuffle_before_yield = True

    def get_indices(self, data_collection, seed=None, rng=None):
        return rng.permutation(self.indices if self.indices is not None else len(data_collection))


def _weights(n):
    return (np.arange(n) * 7919 % 11).astype(float) + 0.5


STRATEGIES = {
    "streaming": lambda n, indices, block: sd.Streaming(indices),
    "streaming shuffled": lambda n, indices, block: sd.Streaming(indices, shuffle=True),
    "blocks": lambda n, indices, block: sd.BlockShuffling(block, indices),
    "blocks drop_last": lambda n, indices, block: sd.BlockShuffling(block, indices, drop_last=True),
    "uniform draws": lambda n, indices, block: sd.BlockWeightedSampling(block, indices),
    "weighted draws": lambda n, indices, block: sd.BlockWeightedSampling(block, indices, _weights(n), 2 * n + 5),
    "rounds": lambda n, indices, block: sd.BlockWeightedSampling(
        block, indices, None, 3 * n + 1, replace=False, sampling_size=max(1, _count(n, indices) // 2)
    ),
    "weighted rounds": lambda n, indices, block: sd.BlockWeightedSampling(
        block, indices, _weights(n), 2 * n + 1, replace=False, sampling_size=max(1, _count(n, indices) // 3)
    ),
    "balanced": lambda n, indices, block: sd.ClassBalancedSampling(np.arange(n) % 3, block, indices),
    "grouped": lambda n, indices, block: sd.GroupedSampling(np.arange(n) % 3, 4, block_size=block, indices=indices),
    "grouped balanced": lambda n, indices, block: sd.GroupedSampling(
        np.arange(n) // 7, 3, balance="balanced", sets_per_group=5, block_size=block, indices=indices
    ),
    "custom": lambda n, indices, block: Reversed(indices),
}
IN_ORDER = {"streaming", "streaming shuffled"}


def _count(n, indices):
    return n if indices is None else np.arange(n)[indices].size if not isinstance(indices, range) else len(indices)


@st.composite
def selections(draw, max_rows=200):
    """Return a number of rows, the indices argument in one of its forms, and the rows that it selects."""
    n = draw(st.integers(1, max_rows))
    form = draw(st.sampled_from(["none", "mask", "list", "array", "range"]))
    if form == "none":
        return n, None, np.arange(n)
    if form == "range":
        start = draw(st.integers(0, n - 1))
        indices = range(start, draw(st.integers(start + 1, n)), draw(st.integers(1, n)))
        return n, indices, np.array(indices)
    mask = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    mask[draw(st.integers(0, n - 1))] = True
    rows = np.flatnonzero(mask)
    return n, {"mask": mask, "list": rows.tolist(), "array": rows.astype(np.int32)}[form], rows


every_strategy = pytest.mark.parametrize("name", STRATEGIES)
seeds = st.integers(0, 2**64 - 1)


@every_strategy
@settings(deadline=None, max_examples=examples(40))
@given(selection=selections(), block=st.integers(1, 40), seed=seeds, epoch=st.integers(0, 2**40), data=st.data())
def test_any_slice_of_an_epoch_equals_that_slice_of_the_whole(name, selection, block, seed, epoch, data):
    n, indices, _ = selection
    order = STRATEGIES[name](n, indices, block).epoch_order(range(n), seed, epoch)
    whole = order.rows(0, len(order))
    assert whole.dtype == np.int64
    assert whole.shape == (len(order),)
    for _ in range(4):
        start = data.draw(st.integers(0, len(order)))
        stop = data.draw(st.integers(start, len(order)))
        assert np.array_equal(order.rows(start, stop), whole[start:stop])


@every_strategy
@settings(deadline=None, max_examples=examples(40))
@given(selection=selections(), block=st.integers(1, 40), seed=seeds)
def test_lengths_agree_and_only_selected_rows_come(name, selection, block, seed):
    n, indices, selected = selection
    strategy = STRATEGIES[name](n, indices, block)
    rows = strategy.get_indices(range(n), seed=seed, rng=np.random.default_rng(0))
    assert strategy.get_len(range(n)) == len(rows) == len(strategy.epoch_order(range(n), seed, 0))
    assert np.isin(rows, selected).all()
    assert indices is None or np.array_equal(strategy.indices, selected)


@every_strategy
@settings(deadline=None, max_examples=examples(20))
@given(selection=selections(), block=st.integers(1, 40), seed=seeds, epoch=st.integers(0, 2**64 - 1))
def test_an_epoch_is_the_same_from_another_object_and_after_pickling(name, selection, block, seed, epoch):
    n, indices, _ = selection
    strategy = STRATEGIES[name](n, indices, block)
    order = strategy.epoch_order(range(n), seed, epoch)
    strategy.epoch_order(range(n), seed + 1 if seed < 2**64 - 1 else 0, epoch).rows(0, 0)
    rows = order.rows(0, len(order))
    copies = (
        STRATEGIES[name](n, indices, block).epoch_order(range(n), seed, epoch),
        pickle.loads(pickle.dumps(strategy)).epoch_order(range(n), seed, epoch),
        pickle.loads(pickle.dumps(order)),
    )
    for other in copies:
        assert other.shuffles == order.shuffles
        assert np.array_equal(other.rows(0, len(other)), rows)


@every_strategy
def test_seeds_and_epochs_give_orders_of_their_own(name):
    n = 500
    strategy = STRATEGIES[name](n, None, 4)
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (1000, 0), (0, 1000), (2**40, 0)]
    orders = {strategy.epoch_order(range(n), *pair).rows(0, n // 2).tobytes() for pair in pairs}
    assert len(orders) == (1 if name in IN_ORDER else len(pairs))


@every_strategy
def test_get_indices_is_the_order_of_epoch_0(name):
    strategy = STRATEGIES[name](300, None, 8)
    if name != "custom":
        order = strategy.order(300, 5, 0)
        assert np.array_equal(strategy.get_indices(range(300), seed=5), order.rows(0, len(order)))


@every_strategy
def test_global_random_state_is_neither_read_nor_changed(name):
    strategy = STRATEGIES[name](300, None, 8)
    rows = []
    for state in (1, 2):
        np.random.seed(state)  # noqa: NPY002 the global state is what this is about
        random.seed(state)
        before = np.random.get_state()[1].tobytes(), random.getstate()  # noqa: NPY002
        order = strategy.epoch_order(range(300), 7, 3)
        rows.append(order.rows(0, len(order)))
        assert (np.random.get_state()[1].tobytes(), random.getstate()) == before  # noqa: NPY002
    assert np.array_equal(*rows)


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - IN_ORDER - {"custom"}))
def test_without_a_seed_the_generator_decides_and_without_both_every_call_differs(name):
    strategy = STRATEGIES[name](300, None, 8)
    first, again, other = (strategy.get_indices(range(300), rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(strategy.get_indices(range(300)), strategy.get_indices(range(300)))


@every_strategy
def test_rows_handed_out_are_the_callers_to_change(name):
    order = STRATEGIES[name](50, np.arange(50), 8).epoch_order(range(50), 0, 0)
    before = order.rows(0, len(order)).copy()
    order.rows(0, len(order))[:] = -1
    assert np.array_equal(order.rows(0, len(order)), before)


@every_strategy
def test_a_strategy_shows_its_arguments_but_not_its_arrays(name):
    if name == "custom":
        pytest.skip("has the representation of any object")
    shown = repr(STRATEGIES[name](5000, np.arange(5000), 8))
    assert shown.startswith(type(STRATEGIES[name](5, None, 1)).__name__ + "(")
    assert "indices=<5000 rows>" in shown
    assert len(shown) < 200
