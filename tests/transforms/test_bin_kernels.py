"""Bins of the values of rows, by the quantiles of each row."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scdataset.transforms.bin_kernels import _MOST, bin_rows

GRADES = np.linspace(0, 1, 9)


def binned(rows, *, is_random, dtype="f4"):
    data = np.concatenate([np.array(row, dtype) for row in rows])
    lengths = np.array([len(row) for row in rows])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    indices = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    keys = np.arange(1, len(rows) + 1).astype(np.uint64)
    bits = data.view(f"u{data.itemsize}")
    return bin_rows(data, bits, indices, indptr, keys, GRADES, is_random, int(lengths.max(initial=1)))


ROWS = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=40), min_size=1, max_size=4)


@given(ROWS)
def test_random_bins_lie_between_the_edges_below_and_up_to_the_value(rows):
    found = iter(binned(rows, is_random=True).tolist())
    for row in rows:
        edges = np.quantile(np.array(row, "f4"), GRADES)
        for value in row:
            low, high = np.searchsorted(edges, value, "left"), np.searchsorted(edges, value, "right")
            assert low <= next(found) <= high


@given(ROWS)
def test_other_bins_are_those_of_torch(rows):
    found = iter(binned(rows, is_random=False).tolist())
    for row in rows:
        values = torch.tensor(row, dtype=torch.float32)
        edges = torch.quantile(values, torch.tensor(GRADES, dtype=torch.float32))
        assert torch.bucketize(values, edges).add(1).tolist() == [next(found) for _ in row]


@pytest.mark.parametrize("is_random", [True, False])
def test_rows_of_many_distinct_values_are_binned_as_those_of_few(is_random):
    many = np.random.default_rng(0).permutation(_MOST + 50) + 1.0
    found = binned([many, [1.0, 1.0], []], is_random=is_random)
    edges = np.quantile(many.astype("f4"), GRADES)
    inside = ~np.isin(many, edges)
    offset = 0 if is_random else 1
    assert np.array_equal(found[: many.size][inside], np.searchsorted(edges, many)[inside] + offset)
    assert found.size == many.size + 2
