"""Keys of rows, as transforms take them."""

import numpy as np
import pytest

from scdataset import ArgumentTypeError, ArgumentValueError
from scdataset.transforms import MaskValues, RowKeys
from scdataset.transforms.row_keys import checked_keys, drawn

KEYS = RowKeys(np.array([7, 3, 9]), seed=0, epoch=2)


def test_keys_of_other_rows_than_those_of_the_batch_are_refused():
    assert checked_keys(MaskValues(0.5), KEYS, 3) is KEYS
    with pytest.raises(ArgumentValueError, match="MaskValues got the keys of 3 rows for a batch of 4"):
        checked_keys(MaskValues(0.5), KEYS, 4)
    with pytest.raises(ArgumentTypeError, match=r"MaskValues needs the keys of the rows, and got None"):
        checked_keys(MaskValues(0.5), None, 4)


def test_a_row_has_one_key_for_each_purpose_and_stream():
    draws = drawn(KEYS, "mask", 0)
    assert np.array_equal(draws[::-1], drawn(RowKeys(np.array([9, 3, 7]), seed=0, epoch=2), "mask", 0))
    others = [drawn(KEYS, "mask", 1), drawn(KEYS, "bins", 0), drawn(RowKeys(KEYS.rows, seed=0, epoch=3), "mask", 0)]
    assert len({*draws.tolist(), *np.concatenate(others).tolist()}) == 12
