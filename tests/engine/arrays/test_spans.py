"""Arithmetic of spans of a stored array."""

import numpy as np

from scdataset.engine.arrays.spans import Spans, scatter

SPANS = Spans(np.array([2, 10]), np.array([3, 4]), np.array([4, 0]))


def test_packed_spans_lie_side_by_side():
    assert SPANS.packed().places.tolist() == [0, 3]
    assert SPANS.part(1, 2).starts.tolist() == [10]


def test_parts_within_bounds_keep_their_places():
    within = SPANS.within(3, 12)
    assert within.starts.tolist() == [3, 10]
    assert within.lengths.tolist() == [2, 2]
    assert within.places.tolist() == [5, 0]


def test_spans_are_copied_to_their_places():
    out = np.zeros(7)
    scatter(np.arange(20.0), SPANS, out)
    assert out.tolist() == [10, 11, 12, 13, 2, 3, 4]
