"""Attributes that refer to strings longer than their file."""

import struct

import h5py
import pytest

from scdataset.engine.containers.string_references import REFERENCE, damaged_attributes


@pytest.fixture(params=["earliest", "latest"])
def content(request, tmp_path):
    with h5py.File(tmp_path / "m.h5", "w", libver=request.param) as h5:
        h5.create_group("obs").attrs.create("column-order", ["one", "three"], dtype=h5py.string_dtype())
    return (tmp_path / "m.h5").read_bytes()


def test_references_of_sound_attributes_are_not_reported(content):
    assert damaged_attributes(content, len(content)) == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_reference_that_is_too_long_is_found_where_it_lies(content, number):
    places = damaged_attributes(content, 2)  # both are longer than two bytes
    assert [struct.unpack_from("<I", content, place)[0] for place in places] == [3, 5]
    assert places[1] - places[0] == REFERENCE.itemsize
    longer = bytearray(content)
    struct.pack_into("<I", longer, places[number], 1 << 31)
    assert damaged_attributes(bytes(longer), len(content)) == [places[number]]
