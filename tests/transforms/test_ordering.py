"""The compiled stable order: that of numpy's stable argsort, also of numbers that float32 cannot tell apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from scdataset.transforms.ordering import ASCENDING, DESCENDING, N_BUCKETS, PLACE, ordered, sort_by_comparison


def _orders(values):
    memory = np.empty(values.size, np.uint64), np.empty(values.size, np.uint64), np.empty(N_BUCKETS, np.int32)
    return [(ordered(values, *memory, flip) & PLACE).tolist() for flip in (ASCENDING, DESCENDING)]


def _check(values):
    ascending, descending = _orders(values)
    assert ascending == np.argsort(values, kind="stable").tolist()
    assert descending == np.argsort(-values, kind="stable").tolist()


@given(arrays.arrays(np.float32, st.integers(0, 40), elements=st.floats(0, 1e6, width=32)))
def test_single_floats_are_ordered(values):
    _check(values)


@given(
    arrays.arrays(np.float64, st.integers(0, 40), elements=st.sampled_from([0.0, 1, 1 + 1e-12, 1 + 2e-12, 3, 1e300]))
)
def test_double_floats_that_tie_as_single_ones_are_ordered(values):
    _check(values)


@given(arrays.arrays(np.float64, st.integers(0, 40), elements=st.sampled_from([-2.0, -0.5, 0, 1, 3])))
def test_numbers_with_a_sign_are_ordered_by_comparison(values):
    memory = np.empty(values.size, np.uint64), np.empty(values.size, np.uint64)
    found = [sort_by_comparison(values, *memory, flip).tolist() for flip in (ASCENDING, DESCENDING)]
    assert found == [np.argsort(each, kind="stable").tolist() for each in (values, -values)]


@pytest.mark.parametrize("n", [1, 2_000])
@pytest.mark.parametrize("spread", [1e-12, 1, 1e9])
def test_many_values_in_few_or_many_buckets_are_ordered(n, spread):
    generator = np.random.default_rng(0)
    _check(1 + spread * generator.random(n))
    _check(generator.integers(1, 9, n).astype(np.float32))
    _check(np.append(1 + 1e-3 * generator.random(n), 1e30))  # all but one in one bucket
