"""Whatever a fetch_transform returns is cut into batches: nested dicts, tuples and lists of anything with rows."""

from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.collections.reference import IDS, N_ROWS, X, columns

from scdataset import BlockShuffling, MultiIndexable, scDataset
from scdataset.collections.rows import ColumnList, RowList, as_rows, take_rows

Pair = namedtuple("Pair", "x y")  # noqa: PYI024 as users write them

FORMS = {
    "a dict": lambda rows: {"x": X[rows], "y": torch.tensor(rows)},
    "a dict of dicts": lambda rows: {"a": {"b": {"c": rows}}, "d": X[rows]},
    "a dict of tuples": lambda rows: {"a": (X[rows], sp.csr_matrix(X[rows])), "b": rows},
    "a dict of lists of entries": lambda rows: {"a": [str(row) for row in rows], "b": [[row] * 2 for row in rows]},
    "a tuple": lambda rows: (X[rows], rows),
    "a named tuple": lambda rows: Pair(X[rows], rows.tolist()),
    "a list of columns": lambda rows: [X[rows], torch.tensor(rows), pd.Series(rows)],
    "a tuple of dicts": lambda rows: ({"x": X[rows]}, {"y": (rows, rows)}),
    "a list of entries": lambda rows: [(int(row), str(row)) for row in rows] if len(rows) != 2 else [*rows],
    "a frame": lambda rows: pd.DataFrame({"x": rows}),
    "a container in a dict": lambda rows: {"m": MultiIndexable(x=X[rows], y={"z": rows}["z"]), "n": rows},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("batch_size", [1, 4, 37])
def test_a_nested_result_is_cut_row_by_row(form, batch_size):
    dataset = scDataset(IDS, BlockShuffling(3), batch_size, 3, seed=1, fetch_transform=form)
    asked = scDataset(IDS, BlockShuffling(3), batch_size, 3, seed=1)
    for batch, rows in zip(dataset, asked, strict=True):
        assert isinstance(batch, type(form(rows)))
        found, expected = columns(batch), columns(as_rows(form(rows), rows.size))
        assert found.keys() == expected.keys()
        for name, values in found.items():
            assert np.array_equal(values, expected[name]), name


@pytest.mark.parametrize(
    "result",
    [X[:3], {"x": IDS, "y": X[:3]}, {}, [], (IDS, X[:3]), "text" * 10, 5, {"x": "text"}, None],
    ids=["too few", "one too few", "no names", "no list", "a tuple", "text", "a number", "a name", "none"],
)
def test_a_result_of_another_number_of_rows_is_refused(result):
    dataset = scDataset(IDS, BlockShuffling(3), 4, 10, seed=1, fetch_transform=lambda _: result)
    with pytest.raises(ValueError, match=r"fetch_transform returned .* for 37 rows"):
        next(iter(dataset))


def test_a_tuple_in_a_dict_of_as_many_columns_as_rows_is_one_of_columns():
    window = as_rows({"pair": (X[:2], IDS[:2])}, 2)
    assert columns(take_rows(window, slice(1, 2)))["pair 1"].tolist() == [1]


def test_a_list_in_a_dict_of_as_many_entries_as_rows_is_one_of_rows():
    window = as_rows({"genes": [[1, 2], [3, 4]]}, 2)
    assert take_rows(window, slice(1, 2)) == {"genes": [[3, 4]]}


@given(st.integers(0, 6), st.integers(1, 6), st.data())
def test_what_was_recognised_once_stays_what_it_is(n_rows, n_columns, data):
    """Lists as wide as they are long could be taken for either, so that each says what it is."""
    entries = as_rows({"x": [[row] * n_columns for row in range(n_rows)]}, n_rows)
    table = as_rows(ColumnList([np.arange(n_rows)] * n_columns), n_rows)
    start = data.draw(st.integers(0, n_rows))
    stop = data.draw(st.integers(start, n_rows))
    for rows in (slice(start, stop), np.arange(start, stop)):
        part = as_rows(take_rows(entries, rows), stop - start)
        assert isinstance(part["x"], RowList)
        assert part["x"] == [[row] * n_columns for row in range(start, stop)]
        part = as_rows(take_rows(table, rows), stop - start)
        assert isinstance(part, ColumnList)
        assert [column.tolist() for column in part] == [list(range(start, stop))] * n_columns


def test_batches_of_a_frame_can_be_given_a_column():
    """pandas warns of setting a column on a part of a frame, and warnings are errors here."""
    frame = pd.DataFrame({"x": IDS})
    for batch in scDataset(frame, BlockShuffling(3), 4, seed=1):
        batch["y"] = batch["x"] * 2
        assert batch["y"].tolist() == [2 * row for row in batch["x"]]
    assert list(frame) == ["x"]
    assert len(frame) == N_ROWS
