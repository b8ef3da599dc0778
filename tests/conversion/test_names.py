"""Names of cells in a file."""

import pandas as pd
import pytest

from scdataset.conversion import names
from scdataset.conversion.names import NamesFile, numbers_as_names
from scdataset.conversion.order import RowOrder


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(names, "_PIECE", 7)


def test_names_come_back_in_any_order(tmp_path):
    parts = [pd.Index([f"zellé-{row}" for row in range(20)]), pd.Index(["", "x", "\U0001f9ec"])]
    file = NamesFile.written(tmp_path, parts)
    whole = [name for part in parts for name in part]
    assert [name for piece in file.pieces(RowOrder(23)) for name in piece] == whole
    order = RowOrder(23, None, 2, 5)
    assert [name for piece in file.pieces(order) for name in piece] == [whole[row] for row in order.rows(0, 23)]
    file.remove()
    assert not list(tmp_path.iterdir())


def test_names_that_are_all_empty(tmp_path):
    file = NamesFile.written(tmp_path, [pd.Index(["", ""])])
    assert [piece.tolist() for piece in file.pieces(RowOrder(2))] == [["", ""]]


def test_numbers_stand_in_for_names():
    assert [name for part in numbers_as_names(9) for name in part] == [str(row) for row in range(9)]
