"""Strings that are longer than their file are refused before memory is taken for them."""

import struct

import h5py
import numpy as np
import pytest

from scdataset.engine.containers.string_lengths import check_lengths
from scdataset.errors import DamagedFileError

NAMES = [f"name {number}" for number in range(20)]


def write(path, **options):
    with h5py.File(path, "w") as h5:
        h5.create_dataset("obs/_index", data=NAMES, dtype=h5py.string_dtype(), **options)
        h5["obs/number"] = np.arange(20)


def lengthen(path):
    """Have the reference of row 7 say that its string takes a gigabyte."""
    content = bytearray(path.read_bytes())
    with h5py.File(path) as h5:
        dataset = h5["obs/_index"]
        if dataset.chunks is None:
            start = dataset.id.get_offset() + 7 * 16
        else:
            start = dataset.id.get_chunk_info(1).byte_offset + 2 * 16
    assert struct.unpack_from("<I", content, start)[0] == 6
    struct.pack_into("<I", content, start, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize("options", [{}, {"chunks": (5,)}], ids=["in one piece", "in chunks"])
def test_a_string_longer_than_the_file_is_told_with_the_dataset(tmp_path, options):
    path = tmp_path / "m.h5"
    write(path, **options)
    with h5py.File(path) as h5:
        check_lengths(h5, depth=2)
    lengthen(path)
    with h5py.File(path) as h5:
        with pytest.raises(DamagedFileError, match=r"m\.h5: /obs/_index has a string of 1,073,741,824 bytes"):
            check_lengths(h5, depth=2)
        check_lengths(h5, depth=1)
        check_lengths(h5["obs/_index"], rows=slice(12, 20))
        with pytest.raises(DamagedFileError):
            check_lengths(h5["obs/_index"], rows=slice(5, 9))
