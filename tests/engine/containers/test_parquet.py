"""Strings of Parquet take no more memory than their batch: a few bytes of it may repeat a long one in every row."""

import io

import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.children import with_little_memory

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import expansion, parquet
from scdataset.engine.containers.expansion import Unpacked, least_size
from scdataset.engine.containers.parquet import parquet_batches

TABLE = pa.table(
    {
        "text": ["ab", None, "abc"] * 100,
        "large": pa.array(["x" * 100, "y", ""] * 100, pa.large_string()),
        "lists": [["x", "yy"], [], None] * 100,
        "bytes": [b"1", b"22", None] * 100,
        "group": pa.array(["a", "b", "a"] * 100).dictionary_encode(),
        "both": [{"a": "x", "b": 1}, {"a": None, "b": 2}, None] * 100,
        "number": range(300),
    }
)


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}])
def test_rows_are_those_of_pyarrow_and_their_bytes_are_counted_before_they_are_taken(monkeypatch, options):
    monkeypatch.setattr(parquet, "_ROWS", 64)
    sink = io.BytesIO()
    pyarrow.parquet.write_table(TABLE, sink, row_group_size=100, **options)
    counted = []
    read = []
    for batch in parquet_batches(sink, counted.append):
        assert len(counted) == len(read) + 1
        assert counted[-1] >= batch.nbytes * 0.9
        read.append(batch)
    assert pa.Table.from_batches(read).equals(TABLE)
    assert len(read) > 3


LONG, MANY = "x" * (1 << 16), 1 << 14
REPEATED = pa.DictionaryArray.from_arrays(pa.array([0] * MANY, pa.int32()), [LONG])
BOMBS = {
    "text": REPEATED,
    "lists": pa.ListArray.from_arrays(range(MANY + 1), REPEATED),
}


@pytest.fixture(params=BOMBS)
def bomb(request, tmp_path):
    """Write a file of some kilobytes with rows that take a gigabyte."""
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pa.table({"name": BOMBS[request.param]}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 1 << 17
    return path


def test_long_strings_in_every_row_are_refused_before_they_are_written_out(bomb):
    code = """
import sys
from scdataset import DamagedFileError
from scdataset.cells.formats.parquet_tables import parquet_table
from scdataset.engine.containers import expansion
expansion._FREE = 1 << 24
try:
    parquet_table(sys.argv[1], 1 << 20)
except DamagedFileError as error:
    print(error)
"""
    assert f"{bomb} unpacks to" in with_little_memory(code, bomb, megabytes=350)


def test_values_of_one_width_count_with_it(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    values = pa.array([b"x" * 1000] * 1000, pa.binary(1000))
    pyarrow.parquet.write_table(pa.table({"a": values}), path, compression="zstd")
    assert least_size(pyarrow.parquet.read_metadata(path)) == 10**6
    monkeypatch.setattr(expansion, "_FREE", 1 << 10)
    with pytest.raises(expansion.DamagedFileError, match="unpacks to"):
        Unpacked(LocalFile(str(path))).add(10**6)


def test_strings_that_share_their_beginnings_are_read_so_few_at_a_time_that_each_may_be_as_long_as_all(monkeypatch):
    sink = io.BytesIO()
    table = pa.table({"name": [f"{'x' * 1000}{number}" for number in range(1000)]})
    pyarrow.parquet.write_table(table, sink, use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY")
    assert len(sink.getvalue()) < table.nbytes // 20
    monkeypatch.setattr(parquet, "_BATCH", 1 << 20)
    read = list(parquet_batches(sink, lambda n_bytes: None))
    assert max(batch.nbytes for batch in read) < 1 << 20
    assert pa.Table.from_batches(read).equals(table)


def test_a_name_of_a_column_that_its_schema_does_not_have_is_refused():
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"label": ["a", "b"]}), sink, store_schema=False)
    content = sink.getvalue()
    at = content.rindex(b"label")  # in the metadata of the column; the schema is before them
    with pytest.raises(pa.ArrowInvalid, match="its columns and its schema have other names"):
        list(parquet_batches(io.BytesIO(content[:at] + b"la0el" + content[at + 5 :]), lambda n_bytes: None))
