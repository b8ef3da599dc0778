"""Splits given as rows, masks, functions and dicts of obs."""

import numpy as np
import pytest

from scdataset.errors import ArgumentValueError
from scdataset.integrations.splits import Split, check_split, splits_of


def test_a_mask_of_all_rows_needs_no_indices():
    assert Split.from_mask(np.ones(3, bool)).indices is None
    assert Split.from_mask(np.array([True, False])).rows.tolist() == [0]


def test_rest_is_every_row_that_the_others_leave():
    splits = splits_of(range(6), {"train": "rest", "val": [0, 3], "test": None}, ["val", "test"])
    assert splits["train"].rows.tolist() == [1, 2, 4, 5]
    assert splits["val"].rows.tolist() == [0, 3]


def test_unknown_words_are_refused():
    with pytest.raises(ArgumentValueError, match="val='some' is not known; give"):
        check_split("val", "some")
