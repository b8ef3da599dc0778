"""Cells, their groups and their controls."""

import numpy as np
import pytest

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.cells import Cells, code_of
from scdataset.strategy.labels import encode_labels
from scdataset.strategy.strata import Strata

GROUPS = ["KO1", "control", "KO1", "KO2", "control", "KO2", "KO3"]
DAYS = [1, 1, 2, 2, 3, 1, 1]


def cells(groups=GROUPS, days=DAYS, control="control"):
    encoded = encode_labels(groups)
    match = None if days is None else Strata.from_columns({"day": days})
    codes = None if match is None else match.encoded.from_zero()
    return Cells(encoded.from_zero(), encoded.classes, code_of(control, encoded), codes, match)


def test_cells_without_a_control_of_their_stratum_are_refused_or_dropped():
    with pytest.raises(ArgumentValueError, match=r"2 of 5 cells, in 2 groups, .*a cell of 'KO1' with 2"):
        cells().split(drop_unmatched=False)
    is_control, is_cell = cells().split(drop_unmatched=True)
    assert np.flatnonzero(is_control).tolist() == [1, 4]
    assert np.flatnonzero(is_cell).tolist() == [0, 5, 6]


def test_any_control_matches_where_nothing_is_to_match():
    assert np.count_nonzero(cells(days=None).split(drop_unmatched=False)[1]) == 5


def test_controls_alone_are_refused():
    with pytest.raises(ArgumentValueError, match="3 of the 3 selected rows are controls"):
        cells(["control"] * 3, None).split(drop_unmatched=False)


def test_an_unknown_control_is_answered_with_names_that_are_near():
    with pytest.raises(ArgumentValueError, match=r"control='contrl' is not among the 4 groups; .*'control'"):
        cells(control="contrl")
    with pytest.raises(ArgumentTypeError, match="is of type list"):
        cells(control=["control"])


@pytest.mark.parametrize(("drop", "sets"), [(True, [2, 0, 1]), (False, [3, 1, 1])])
def test_sets_of_a_round_are_whole_or_filled_up(drop, sets):
    assert cells().sets_in_round(np.array([5, 1, 2]), 2, drop=drop).tolist() == sets


def test_sets_larger_than_any_group_are_refused():
    with pytest.raises(ArgumentValueError, match="give set_size of at most 5"):
        cells().sets_in_round(np.array([5, 1, 2]), 6, drop=True)
