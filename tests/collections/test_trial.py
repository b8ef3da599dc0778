"""Trial rows tell a collection that gives rows from one that gives something else."""

import numpy as np
import pytest

from scdataset.collections.trial import gives_rows, gives_samples, trial_rows

ROWS = np.array([0, 2, 3])


@pytest.mark.parametrize(("asked", "tried"), [([5], [5, 6]), ([9], [8, 9]), ([1, 2], [1, 2]), ([0, 4, 8], [0, 4, 8])])
def test_at_least_two_rows_are_tried(asked, tried):
    assert trial_rows(np.array(asked), 10).tolist() == tried


def test_one_row_of_a_single_one_is_tried():
    assert trial_rows(np.array([0]), 1).tolist() == [0]


def test_rows_are_compared_with_single_samples():
    source = np.arange(12).reshape(4, 3)
    assert gives_rows(source[ROWS], source, ROWS)
    assert not gives_rows(source[:3], source, ROWS)
    assert not gives_rows(source[:2], source, ROWS)


def test_a_list_of_samples_is_told_from_rows():
    source = [{"x": k} for k in range(4)]
    assert gives_samples([source[row] for row in ROWS], source, ROWS)
    assert not gives_samples(source[:3], source, ROWS)
