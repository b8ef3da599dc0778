"""Compiled functions reach an array by its address."""

import numba
import numpy as np

from scdataset._compiled import COMPILES, compiled
from scdataset.engine.kernels.addresses import address_of, pointer


def test_an_array_is_read_by_its_address():
    @compiled
    def first_of(address, size):
        return numba.carray(pointer(address), (size,), np.int64)[0]

    values = np.arange(7, 12)
    values.flags.writeable = False
    assert not COMPILES or first_of(address_of(values), values.size) == 7
    assert address_of(values[1:]) == address_of(values) + values.itemsize
