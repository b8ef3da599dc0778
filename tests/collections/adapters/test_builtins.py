"""Lists and ranges are collections; dicts, tuples and paths are refused with the remedy."""

import numpy as np
import pytest

from scdataset.collections import as_collection
from scdataset.errors import CollectionError

ROWS = np.array([2, 0, 2])


def test_a_list_gives_a_list_and_a_range_an_array():
    assert as_collection(["a", "b", "c"]).read(ROWS) == ["c", "a", "c"]
    assert as_collection(range(10, 40, 10)).read(ROWS).tolist() == [30, 10, 30]
    assert as_collection(range(3)).fingerprint() == "range(0, 3)"


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"X": [1]}, r"Give MultiIndexable\(data\)"),
        ((np.ones(2), np.ones(2)), r"Give MultiIndexable\(\*data\)"),
        ("a.h5ad", r"Give open_collection\('a.h5ad'\)"),
        (["a.h5ad", "b.h5ad"], r"Give open_collection\(paths\)"),
    ],
)
def test_the_remedy_is_named(given, remedy):
    with pytest.raises(CollectionError, match=remedy):
        as_collection(given)
