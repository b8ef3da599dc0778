"""Pages of Parquet unpack to no more than the metadata of their columns say."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.children import with_little_memory

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import parquet_pages
from scdataset.engine.containers.parquet_pages import check_pages
from scdataset.errors import DamagedFileError

LARGE = 600 << 20


def check(path):
    check_pages(LocalFile(str(path)), pyarrow.parquet.read_metadata(path))


def zigzag(value):
    """Return an integer as Thrift writes it."""
    value, stored = value << 1, []
    while value > 127:
        stored.append(value & 127 | 128)
        value >>= 7
    return bytes([*stored, value])


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr(parquet_pages, "FREE", 0)
    text = [f"gene {number % 50}" for number in range(3000)]
    return pa.table({"text": text, "number": np.arange(3000), "lists": [[text[0]], [], None] * 1000})


@pytest.mark.parametrize(
    "options",
    [
        {"data_page_version": "1.0"},
        {"data_page_version": "2.0", "write_page_checksum": True},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "number": "DELTA_BINARY_PACKED"}},
    ],
)
def test_pages_of_files_as_they_are_written_are_within_their_metadata(tmp_path, rows, options):
    for codec in ("zstd", "snappy", "none", "brotli"):
        pyarrow.parquet.write_table(
            rows, tmp_path / "a.parquet", row_group_size=1000, compression=codec, data_page_size=500, **options
        )
        check(tmp_path / "a.parquet")


def test_a_header_with_a_long_value_is_read_whole(tmp_path, rows):
    text = pa.table({"text": ["x" * 5000, "y" * 5000] * 9})
    pyarrow.parquet.write_table(text, tmp_path / "a.parquet", use_dictionary=False, write_page_index=False)
    check(tmp_path / "a.parquet")


def bomb(path):
    """Write a page that unpacks to far more than its header and the metadata of its column said."""
    sink = io.BytesIO()
    table = pa.table({"a": np.zeros(1000)})
    pyarrow.parquet.write_table(table, sink, use_dictionary=False, compression="zstd", write_statistics=False)
    content, column = sink.getvalue(), pyarrow.parquet.read_metadata(sink).row_group(0).column(0)
    packed = pa.compress(bytes(LARGE), "zstd", asbytes=True)
    begin, end = column.data_page_offset, column.data_page_offset + column.total_compressed_size
    fields, behind = parquet_pages._struct(content, begin, 8)
    known, header = (
        b"\x15\x00\x15" + zigzag(unpacked) + b"\x15" + zigzag(stored)
        for unpacked, stored in ((fields[2], fields[3]), (LARGE, len(packed)))
    )
    assert content[begin:].startswith(known)
    rest = content[begin + len(known) : behind]
    page = header + rest + packed
    old, new = zigzag(column.total_compressed_size), zigzag(len(page))
    footer = content[end:-8].replace(old + b"\x26", new + b"\x26")
    path.write_bytes(content[:begin] + page + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def test_a_page_that_unpacks_to_more_than_its_column_is_refused_before_memory_is_taken(tmp_path):
    code = """
import sys
from scdataset import DamagedFileError
from scdataset.cells.formats.parquet_tables import parquet_table
try:
    parquet_table(sys.argv[1], 1 << 20)
except DamagedFileError as error:
    print(error)
"""
    path = bomb(tmp_path / "a.parquet")
    assert path.stat().st_size < 1 << 17
    assert "the pages of a in row group 0 say that they unpack to" in with_little_memory(code, path, megabytes=350)


def test_bytes_that_are_no_header_are_refused(tmp_path, rows):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(rows, path, compression="zstd")
    content = path.read_bytes()
    for begin in (bytes(8), b"\x1b" * 8, b"\xff" * 2000):
        path.write_bytes(content[:4] + begin + content[4 + len(begin) :])
        with pytest.raises(DamagedFileError, match="no header of a page at byte 4, where"):
            check(path)
