"""Controls that are matched to the cells of sets."""

import numpy as np
import pytest

from scdataset.strategy.controls import Controls, sets_with_controls
from scdataset.strategy.keys import make_key
from scdataset.strategy.sets import Sets, members_by_code

GROUPS = np.repeat([0, 1, 2], [20, 20, 30]).astype(np.uint8)
"""Cells of two groups, and controls."""

STRATA = np.arange(70).astype(np.uint8) % 3
CELLS = GROUPS < 2
SET_SIZE, N_CONTROLS, N_SETS = 5, 7, 8
KEYS = make_key(0, 0, "cells"), make_key(0, 0, "controls")


def made(strata, first, stop):
    members = members_by_code(GROUPS, CELLS, 3)
    sets = Sets(members, np.array([0, 4, 8, 8]), np.array([4, 4, 1]), SET_SIZE, 1)
    controls = Controls.from_masks(~CELLS, CELLS, strata, 3 if strata is not None else 1, N_CONTROLS, 1)
    return sets_with_controls(first, np.arange(first, stop), sets, controls, *KEYS)


@pytest.mark.parametrize("strata", [None, STRATA])
def test_each_control_is_of_the_stratum_of_its_cell(strata):
    rows = made(strata, 0, N_SETS)
    assert rows.shape == (N_SETS, SET_SIZE + N_CONTROLS)
    cells, controls = np.split(rows, [SET_SIZE], axis=1)
    assert CELLS[cells].all()
    assert not CELLS[controls].any()
    assert sorted(cells.ravel().tolist()) == np.flatnonzero(CELLS).tolist()
    if strata is not None:
        matched = cells[:, np.arange(N_CONTROLS) % SET_SIZE]
        assert np.array_equal(strata[controls], strata[matched])


@pytest.mark.parametrize("strata", [None, STRATA])
def test_sets_do_not_depend_on_those_made_with_them(strata):
    whole = made(strata, 0, N_SETS)
    assert np.array_equal(np.vstack([made(strata, k, k + 1) for k in range(N_SETS)]), whole)


def test_no_control_comes_twice_before_all_have_come():
    controls = made(None, 0, 4)[:, SET_SIZE:].ravel()
    assert len(set(controls.tolist())) == controls.size


def test_without_controls_sets_are_cells_alone():
    controls = Controls.from_masks(~CELLS, CELLS, None, 1, 0, 1)
    sets = Sets(members_by_code(GROUPS, CELLS, 3), np.array([0, 4, 8, 8]), np.array([4, 4, 1]), SET_SIZE, 1)
    assert sets_with_controls(0, np.arange(N_SETS), sets, controls, *KEYS).shape == (N_SETS, SET_SIZE)
