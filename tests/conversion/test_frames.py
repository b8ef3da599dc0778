"""Columns of frames in the form in which they are written."""

import numpy as np
import pandas as pd
import pytest

from scdataset.conversion.frames import storable

LETTERS = list("abc")


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (np.array(LETTERS, object), None),
        (pd.Categorical(LETTERS), None),  # strings are read as this, too
        (pd.Categorical(["c", "a", "a"]), ["a", "c"]),
        (pd.Categorical(["c", "a", "b"], [*LETTERS, "d"]), [*LETTERS, "d"]),
        (pd.Categorical(["c", "c", "b"], LETTERS), LETTERS),
        (pd.Categorical(["c", None, "b"], LETTERS), LETTERS),
        (pd.Categorical(LETTERS, ordered=True), LETTERS),
        (pd.Series(pd.Categorical(LETTERS)), LETTERS),
    ],
)
def test_labels_are_categories_unless_they_are_strings_that_all_differ(values, categories):
    written = storable(values)
    if categories is None:
        assert written.tolist() == LETTERS
    else:
        assert written.categories.tolist() == categories
        assert list(written) == list(values)
