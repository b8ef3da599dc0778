"""Rows of frames and tables are what their own indexing gives, with every type of column."""

import os
import signal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from tests.collections.frame_columns import COLUMNS, ROWS, TYPES
from tests.collections.reference import IDS

from scdataset import as_collection
from scdataset.collections.rows import take_rows

FRAME = pl.DataFrame(COLUMNS)


@pytest.mark.parametrize("frame", [FRAME, pl.concat([FRAME[:9], FRAME[9:]], rechunk=False)], ids=["whole", "in chunks"])
def test_polars_rows_are_those_of_its_own_indexing(frame):
    assert_frame_equal(as_collection(frame).read(ROWS), frame[ROWS])
    assert_frame_equal(take_rows(frame, slice(5, 12)), frame[5:12])
    for name in frame.columns:
        assert as_collection(frame[name]).read(ROWS).equals(frame[name][ROWS], null_equal=True)


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
