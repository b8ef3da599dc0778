"""Chunks whose bits are shuffled."""

import numpy as np
import pytest

from scdataset.engine.codecs.decoding import decode
from scdataset.errors import DamagedFileError

pytest.importorskip("numcodecs")


@pytest.mark.parametrize(
    "options", [(), (0, 4), (0, 4, 0, 0, 0), (0, 4, 3, 5, 0), (0, 4, 4, 0, 9), (0, 4, 2**32 - 1, 0, 2)]
)
def test_options_of_bitshuffle_that_make_no_sense(options):
    with pytest.raises(DamagedFileError):
        decode(bytes(80), (("bitshuffle", options),), 0, np.dtype("f4"), 80)
