"""Decoding takes as much memory as a chunk can have, whatever its bytes unpack to."""

import gzip
import tracemalloc
import zlib

import numpy as np
import pytest

from scdataset.engine.codecs.decoding import decode
from scdataset.errors import DamagedFileError

ROOM, UNPACKED = 1 << 20, 1 << 26


@pytest.mark.parametrize(("name", "pack"), [("gzip", zlib.compress), ("gzip_file", gzip.compress)])
def test_a_chunk_that_inflates_to_more_than_it_holds_is_not_inflated_further(name, pack):
    bomb = pack(bytes(UNPACKED))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError, match=f"more than {ROOM} bytes when decoded"):
            decode(bomb, ((name, None),), 0, np.dtype("u1"), ROOM)
        assert tracemalloc.get_traced_memory()[1] < 4 * ROOM
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "pack"), [("gzip", zlib.compress), ("gzip_file", gzip.compress)])
def test_a_chunk_of_the_right_size_is_inflated_and_a_truncated_one_refused(name, pack):
    values = np.arange(1000, dtype="<i4")
    stored = pack(values.tobytes())
    assert decode(stored, ((name, None),), 0, values.dtype, values.nbytes).tolist() == values.tolist()
    with pytest.raises(DamagedFileError, match="truncated"):
        decode(stored[:-9], ((name, None),), 0, values.dtype, values.nbytes)
