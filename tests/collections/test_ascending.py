"""Rows in the order of the disk, and their places."""

from itertools import chain, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scdataset.collections.ascending import ascending, runs


@given(st.lists(st.integers(0, 50)))
def test_places_lead_back_to_the_rows(listed):
    rows = np.array(listed, np.int64)
    distinct, places = ascending(rows)
    assert distinct.tolist() == sorted(set(listed))
    assert (distinct if places is None else distinct[places]).tolist() == listed


@given(st.sets(st.integers(0, 100)), st.integers(0, 5))
def test_runs_are_cut_at_gaps_that_leave_out_more_rows_than_allowed(numbers, max_gap):
    rows = np.array(sorted(numbers), np.int64)
    found = [rows[first:last].tolist() for first, last in runs(rows, max_gap)]
    assert list(chain(*found)) == rows.tolist()
    assert all(b - a - 1 <= max_gap for run in found for a, b in pairwise(run))
    assert all(later[0] - earlier[-1] - 1 > max_gap for earlier, later in pairwise(found))
