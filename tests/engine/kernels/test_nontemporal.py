"""Copies that go past the cache."""

import numpy as np
import pytest

from scdataset._compiled import COMPILES, compiled
from scdataset.engine.kernels.addresses import address_of
from scdataset.engine.kernels.nontemporal import STEP, copy_nontemporal

pytestmark = pytest.mark.skipif(not COMPILES, reason="nothing is compiled here")


def test_as_many_bytes_are_copied_as_said_and_no_others():
    @compiled
    def copy(target, origin):
        copy_nontemporal(target, origin)

    source, memory = np.arange(100, dtype=np.uint8), np.zeros(4 * STEP, np.uint8)
    first = -address_of(memory) % STEP
    copy(address_of(memory) + first, address_of(source) + 3)
    assert memory[first : first + STEP].tolist() == list(range(3, 3 + STEP))
    assert np.count_nonzero(memory) == STEP
