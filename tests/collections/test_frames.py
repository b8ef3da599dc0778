"""Rows of frames and tables are what their own indexing gives, with every type of column."""

import datetime as dt
import decimal
import os
import signal

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from reference import IDS, N_ROWS

from scdataset import as_collection
from scdataset.collections.rows import take_rows

ROWS = np.array([3, 36, 3, 0, 20])
TYPES = [f"type {row % 3}" for row in IDS]
COLUMNS = {
    "integer": pl.Series(IDS, dtype=pl.Int16),
    "float": pl.Series([None if row % 4 else row / 7 for row in IDS]),
    "text": pl.Series([None if row % 5 == 1 else "é" * row for row in IDS]),
    "category": pl.Series(TYPES, dtype=pl.Categorical),
    "enum": pl.Series(TYPES, dtype=pl.Enum(sorted(set(TYPES)))),
    "boolean": pl.Series(IDS % 2 == 0),
    "date": pl.Series([dt.date(2020, 1, 1) + dt.timedelta(int(row)) for row in IDS]),
    "time": pl.Series([dt.datetime(2020, 1, 1, int(row) % 24, tzinfo=dt.UTC) for row in IDS]),
    "decimal": pl.Series([decimal.Decimal(int(row)) / 4 for row in IDS], dtype=pl.Decimal(10, 2)),
    "bytes": pl.Series([bytes([row]) for row in IDS]),
    "list": pl.Series([[int(row)] * (row % 3) for row in IDS]),
    "array": pl.Series(np.outer(IDS, [1.0, 2.0])),
    "struct": pl.Series([{"a": int(row), "b": {"c": str(row)}} for row in IDS]),
    "null": pl.Series([None] * N_ROWS),
}
FRAME = pl.DataFrame(COLUMNS)


@pytest.mark.parametrize("frame", [FRAME, pl.concat([FRAME[:9], FRAME[9:]], rechunk=False)], ids=["whole", "in chunks"])
def test_polars_rows_are_those_of_its_own_indexing(frame):
    assert_frame_equal(as_collection(frame).read(ROWS), frame[ROWS])
    assert_frame_equal(take_rows(frame, slice(5, 12)), frame[5:12])
    for name in frame.columns:
        assert as_collection(frame[name]).read(ROWS).equals(frame[name][ROWS], null_equal=True)


@pytest.mark.parametrize("form", ["polars", "pandas", "arrow", None])
def test_hugging_face_rows_are_those_of_its_own_indexing(form):
    columns = ["integer", "float", "text", "boolean", "date", "time", "decimal", "bytes", "list", "struct", "null"]
    data = datasets.Dataset(pa.table({name: COLUMNS[name].to_arrow() for name in columns})).with_format(form)
    found, expected = as_collection(data).read(ROWS), data[ROWS.tolist()]
    assert type(found) is type(expected)
    if form == "polars":
        assert_frame_equal(found, expected)
    else:
        assert found == expected if form is None else found.equals(expected)


def test_a_hugging_face_format_may_be_of_some_columns_only():
    data = datasets.Dataset.from_dict({"id": IDS, "x": IDS / 2, "y": IDS * 2})
    assert as_collection(data.with_format("polars", columns=["x"])).read(ROWS).columns == ["x"]
    renamed = data.rename_column("id", "row").select(range(30, N_ROWS)).with_format("polars")
    assert as_collection(renamed).read(np.array([6, 0]))["row"].to_list() == [36, 30]


def test_polars_rows_are_read_after_a_fork_whatever_their_type():
    """polars takes rows of a frame with threads, which a forked process does not have, and waits for them forever."""
    FRAME[ROWS]
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        found = as_collection(FRAME).read(ROWS)
        os._exit(0 if found.rows() == [FRAME.row(row) for row in ROWS.tolist()] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_pandas_rows_keep_their_labels_and_all_categories():
    frame = pd.DataFrame({"type": pd.Categorical(TYPES)}, index=[f"cell {row}" for row in IDS])
    found = as_collection(frame).read(np.array([2, 2]))
    assert found.index.tolist() == ["cell 2", "cell 2"]
    assert len(found["type"].cat.categories) == 3
    several = pd.DataFrame(np.outer(IDS, [1, 2]), columns=["x", "x"], index=IDS[::-1])
    assert as_collection(several).read(ROWS).equals(several.iloc[ROWS])


def test_a_slice_of_a_table_is_not_a_copy():
    array = pa.array(IDS)
    part = take_rows(array, slice(4, 9))
    assert part.to_pylist() == [4, 5, 6, 7, 8]
    assert part.buffers()[1].address == array.buffers()[1].address
