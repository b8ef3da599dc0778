"""Bytes and calls that compiled loops are said to make."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scdataset.engine.kernels.requests import byte_ranges, count_requests

SPANS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 9)), min_size=1, max_size=9).map(sorted)


def bytes_in(firsts, sizes):
    return [
        place
        for first, size in zip(firsts.tolist(), sizes.tolist(), strict=True)
        for place in range(first, first + size)
    ]


@given(SPANS, st.integers(1, 12))
def test_ranges_have_the_bytes_of_every_element(spans, chunk):
    starts, lengths = np.array(spans).T
    offsets = np.arange(0, 100, chunk)[::-1] * 4 + 1000
    expected = [
        int(offsets[element // chunk]) + 4 * (element % chunk) + octet
        for start, length in spans
        for element in range(start, start + length)
        for octet in range(4)
    ]
    assert bytes_in(*byte_ranges(offsets, chunk, 4, starts, lengths)) == expected


def test_chunks_side_by_side_are_one_request_and_gaps_are_read_along():
    lengths, starts = np.array([10, 10]), np.array([0, 14])
    together, apart = np.array([0, 40, 80]), np.array([0, 400, 800])
    assert count_requests(together, 10, 4, starts, lengths, 4, 100, False) == (1, 24 * 4)
    assert count_requests(together, 10, 4, starts, lengths, 3, 100, False) == (2, 20 * 4)
    assert count_requests(apart, 10, 4, starts, lengths, 4, 100, False) == (3, 24 * 4)


def test_a_run_that_is_longer_than_the_buffer_takes_several_requests_where_it_is_split():
    one = np.array([0]), 100, 4, np.array([0]), np.array([25]), 0, 10
    assert count_requests(*one, True) == (3, 100)
    assert count_requests(*one, False) == (1, 100)
