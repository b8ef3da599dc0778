"""Orders of the rows of a converted store."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset.conversion import order
from scdataset.conversion.order import RowOrder


@given(n=st.integers(1, 300), block=st.integers(1, 20), seed=st.one_of(st.none(), st.integers(0, 99)), data=st.data())
def test_any_places_are_those_of_the_whole_which_has_each_row_once(n, block, seed, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "_WINDOW", 40)
        rows = RowOrder(n, None, block, seed)
        whole = rows.rows(0, n)
        start = data.draw(st.integers(0, n))
        stop = data.draw(st.integers(start, n))
        assert rows.rows(start, stop).tolist() == whole[start:stop].tolist()
    assert sorted(whole.tolist()) == list(range(n))
    assert seed is not None or whole.tolist() == list(range(n))


def test_selected_rows_take_part_alone():
    selected = np.array([50, 3, 7, 99])
    shuffled = RowOrder(4, selected, 1, 0)
    assert sorted(shuffled.rows(0, 4).tolist()) == [3, 7, 50, 99]
    assert shuffled.ascending.tolist() == [3, 7, 50, 99]
    assert RowOrder(4, selected).rows(1, 3).tolist() == [3, 7]


def test_cells_are_mixed_within_places_and_over_the_whole():
    rows = RowOrder(100_000, None, 16, 0).rows(0, 100_000)
    assert np.abs(np.diff(rows)).mean() > 30_000
    assert np.mean(np.diff(rows) == 1) < 0.01
    assert abs(rows[:4096].mean() - 50_000) < 5_000
