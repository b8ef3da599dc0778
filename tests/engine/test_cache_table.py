"""Tables of integer arrays: read back whole, or not at all."""

import os

import numpy as np
import pytest

from scdataset.engine.cache_table import read_table, remove, write_table

ARRAYS = [np.arange(5), np.array([3, 1], np.uint32)]
KEY = ["path", 7]


@pytest.fixture
def table(tmp_path):
    write_table(tmp_path / "table", KEY, ARRAYS)
    return tmp_path / "table"


def test_arrays_come_back_with_their_types(table):
    for stored, array in zip(read_table(table, KEY), ARRAYS, strict=True):
        assert stored.dtype == array.dtype
        assert np.array_equal(stored, array)


def test_another_key_is_another_table(table):
    assert read_table(table, ["path", 8]) is None


@pytest.mark.parametrize("position", [0, 20, 40, -1])
def test_a_changed_byte_makes_it_none(table, position):
    content = bytearray(table.read_bytes())
    content[position] ^= 1
    table.write_bytes(content)
    assert read_table(table, KEY) is None


def test_a_part_of_it_is_none(table):
    table.write_bytes(table.read_bytes()[:-1])
    assert read_table(table, KEY) is None


def test_anything_else_in_its_place_is_none_and_can_be_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "absent"):
        assert read_table(tmp_path / name, KEY) is None
        write_table(tmp_path / name, KEY, ARRAYS)
        assert read_table(tmp_path / name, KEY) is not None
        remove(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
