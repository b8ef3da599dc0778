"""Members of groups in linear time, and places of keyed permutations by blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scdataset.strategy.keys import make_key
from scdataset.strategy.sets import drawn, members_by_code

FALSE_ALARM = 1e-4


@given(codes=st.lists(st.integers(0, 9), max_size=60), data=st.data())
def test_members_are_the_kept_positions_sorted_stably_by_code(codes, data):
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(codes), max_size=len(codes))), bool)
    members = members_by_code(np.array(codes, np.uint8), keep, 10)
    for code in range(10):
        expected = [i for i, (c, kept) in enumerate(zip(codes, keep, strict=True)) if c == code and kept]
        assert members.positions[members.first[code] : members.first[code + 1]].tolist() == expected
    assert members.positions.dtype == np.int32
    assert members.sizes.sum() == keep.sum()


@given(n=st.integers(1, 900), block=st.integers(1, 40), seed=st.integers(0, 10**6), data=st.data())
def test_places_are_a_permutation_that_goes_round(n, block, seed, data):
    key = make_key(seed, 0, "cells")
    whole = drawn(0, n, n, block, key)
    assert np.array_equal(np.sort(whole), np.arange(n))
    start, count = data.draw(st.integers(0, 3 * n)), data.draw(st.integers(0, 3 * n))
    assert np.array_equal(drawn(start, count, n, block, key), whole[(start + np.arange(count)) % n])


@given(n=st.integers(1, 900), block=st.integers(1, 40), seed=st.integers(0, 10**6))
def test_blocks_are_neighbours_that_go_round(n, block, seed):
    steps = np.diff(drawn(0, n, n, block, make_key(seed, 0, "cells"))) % n
    assert np.count_nonzero(steps != 1) <= -(-n // block) - 1


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("n", [9, 255, 300])
def test_every_value_is_equally_likely_at_every_place(n, block):
    keys = [make_key(seed, 0, "cells") for seed in range(4000)]
    values = np.array([drawn(n - 2, 2, n, block, key) for key in keys])
    for place in range(2):
        assert stats.chisquare(np.bincount(values[:, place], minlength=n)).pvalue > FALSE_ALARM
