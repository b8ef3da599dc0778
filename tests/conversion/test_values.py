"""Types of stored values."""

import numpy as np
import pytest

from scdataset import ArgumentValueError
from scdataset.conversion.values import ValueRange, exactly


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([3], np.int64), "uint8"),
        (np.array([-3], np.int64), "int64"),
        (np.array([300], np.uint16), "uint16"),
        (np.array([2**40], np.uint64), "uint64"),
        (np.array([True]), "bool"),
        (np.array([1.5], np.float32), "float32"),
        (np.array([np.inf], np.float32), "float32"),
        (np.array([], np.float32), "uint8"),
    ],
)
def test_the_narrowest_type_is_one_that_holds_them_all(values, dtype):
    found = ValueRange(values.dtype)
    found.add(values)
    assert found.narrowest == dtype


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([-1], np.int8), "uint64"),
        (np.array([256.0]), "uint8"),
        (np.array([0.5]), "int64"),
        (np.array([np.nan]), "uint8"),
        (np.array([2.0**63]), "int64"),
        (np.array([2**53 + 1]), "float64"),
        (np.array([0.1]), "float32"),
        (np.array([2]), "bool"),
    ],
)
def test_values_are_never_changed(values, dtype):
    with pytest.raises(ArgumentValueError, match=f"which {dtype} does not hold"):
        exactly("X", values, np.dtype(dtype))


def test_values_that_fit_are_converted():
    assert exactly("X", np.array([0.0, 255.0], np.float32), np.dtype(np.uint8)).tolist() == [0, 255]
    same = exactly("X", np.array([np.nan, 0.5, -np.inf]), np.dtype(np.float32))
    np.testing.assert_array_equal(same, [np.nan, 0.5, -np.inf])
