"""Rows of Hugging Face datasets."""

import datasets
import numpy as np
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from tests.collections.frame_columns import COLUMNS, ROWS
from tests.collections.reference import IDS, N_ROWS

from scdataset import as_collection


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
