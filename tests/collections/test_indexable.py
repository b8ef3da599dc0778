"""Objects of unknown type are indexed with ascending rows."""

import numpy as np
import pytest

from scdataset.collections.indexable import Indexable
from scdataset.errors import CollectionError


class Squares:
    def __init__(self, give=lambda rows: rows**2):
        self.asked, self.give = [], give

    def __len__(self):
        return 10

    def __getitem__(self, rows):
        self.asked.append(rows.tolist())
        return self.give(rows)


def test_rows_are_asked_for_once_each_in_ascending_order():
    squares = Squares()
    assert Indexable(squares).read(np.array([3, 1, 3])).tolist() == [9, 1, 9]
    assert squares.asked == [[1, 3]]


def test_errors_of_the_object_name_its_type():
    with pytest.raises(CollectionError, match="type Squares with an array of 2 rows failed: ZeroDivisionError"):
        Indexable(Squares(lambda rows: 1 // 0)).read(np.array([1, 0]))


def test_a_result_without_rows_cannot_be_put_in_order():
    with pytest.raises(CollectionError, match="gave a int that does not have that many rows"):
        Indexable(Squares(lambda rows: 5)).read(np.array([1, 0]))
