"""Sums of weights over strata, with and without a table of classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from scdataset.strategy import weights as weights_module
from scdataset.strategy.selection import Rows
from scdataset.strategy.weights import STRATUM, Weights, fill_weights, in_parts, stratum_prefix


def _weights(n, weights, start=0):
    out = np.empty(n)
    fill_weights(out, start, weights)
    return out


@settings(deadline=None, max_examples=examples(100))
@given(n=st.integers(1, 4 * STRATUM), seed=st.integers(0, 1000), start=st.integers(0, 5), step=st.integers(1, 3))
def test_prefix_sums_the_weights_of_the_selected_rows(n, seed, start, step):
    values = np.random.default_rng(seed).random(start + step * n)
    rows = np.arange(start, start + step * n, step)
    for lookup in (Rows(n, start, step), Rows(n, listed=rows)):
        weights = Weights.from_values(values, lookup)
        prefix = stratum_prefix(weights, n)
        assert prefix.size == -(-n // STRATUM) + 1
        ends = np.minimum(np.arange(prefix.size) * STRATUM, n)
        assert np.allclose(prefix, np.concatenate([[0], np.cumsum(values[rows])])[ends], rtol=1e-12)
        assert np.array_equal(_weights(n, weights), values[rows])


@pytest.mark.parametrize("dtype", ["f8", "f4", "u1", "i1", "u2", "i2", "i4", "i8", "u4"])
@pytest.mark.parametrize("n", [1, 7, 8, 13])
def test_numbers_of_every_type_are_those_that_were_given(dtype, n):
    ends = [0, 1] if dtype[0] == "f" else [np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 1]
    values = np.resize(np.array(ends, dtype), n)
    for lookup in (Rows(n), Rows(-(-n // 2), 0, 2), Rows(1, listed=np.array([n - 1]))):
        expected = values[lookup.between(0, lookup.count)].astype(float)
        assert _weights(lookup.count, Weights.from_values(values, lookup)).tolist() == expected.tolist()


def test_classes_weigh_what_the_table_says():
    codes = np.array([-3, -1, -3, -2], np.int8)
    weights = Weights.from_values(codes, Rows(3, listed=np.array([0, 1, 3])), np.array([5.0, 7.0, 11.0]), -3)
    assert _weights(3, weights).tolist() == [5.0, 11.0, 7.0]
    assert stratum_prefix(weights, 3).tolist() == [0.0, 23.0]


def test_uniform_weights_need_no_sums():
    weights = Weights.from_values(None, Rows(10**12))
    assert weights.uniform
    assert stratum_prefix(weights, 10**12).size == 0
    assert _weights(2, weights, start=10**11).tolist() == [1.0, 1.0]


def test_a_stratum_without_weight_leaves_the_sum_exactly_as_it_was():
    values = np.concatenate([np.full(STRATUM, 0.1), np.zeros(STRATUM), np.full(STRATUM, 0.3)])
    prefix = stratum_prefix(Weights.from_values(values, Rows(values.size)), values.size)
    assert prefix[1] == prefix[2]


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 99, 100])
def test_parts_cover_everything_in_order(monkeypatch, n):
    monkeypatch.setattr(weights_module, "_PART", 10)
    parts = in_parts(n, lambda start, stop: list(range(start, stop)))
    assert [position for part in parts for position in part] == list(range(n))


def test_threads_sum_what_one_thread_sums(monkeypatch):
    values = np.random.default_rng(0).random(10 * STRATUM + 3)
    weights = Weights.from_values(values, Rows(values.size))
    alone = stratum_prefix(weights, values.size)
    monkeypatch.setattr(weights_module, "_PART", 2 * STRATUM)
    assert np.array_equal(stratum_prefix(weights, values.size), alone)
