"""pandas objects are taken by position."""

import numpy as np
import pandas as pd
import pytest

from scdataset.collections import as_collection
from scdataset.collections.adapters.pandas import take
from scdataset.errors import CollectionError

FRAME = pd.DataFrame({"a": [1, 2, 3]}, index=[9, 8, 7])


def test_labels_come_along():
    assert as_collection(FRAME).read(np.array([2, 0])).index.tolist() == [7, 9]
    assert as_collection(FRAME["a"]).read(np.array([2, 0])).tolist() == [3, 1]


def test_a_part_can_be_given_a_column_and_leaves_the_frame_alone():
    part = take(FRAME, slice(0, 2))
    part["b"] = 0
    assert list(FRAME.columns) == ["a"]


def test_a_grouped_frame_is_refused():
    with pytest.raises(CollectionError, match="of 3 groups, which has no rows of its own"):
        as_collection(FRAME.groupby("a"))
