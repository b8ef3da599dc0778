"""Tables beside a matrix have no more rows than there can be."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scdataset.cells.formats.gene_lists import GeneTable
from scdataset.cells.formats.parquet_tables import parquet_table
from scdataset.errors import DamagedFileError


def test_a_table_comes_back_as_pandas_wrote_it(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pd.Index(["i", "j"], name="names"))
    frame.to_parquet(tmp_path / "a=b.parquet")
    pd.testing.assert_frame_equal(parquet_table(str(tmp_path / "a=b.parquet"), 2), frame)


def test_a_small_file_of_many_rows_is_not_read(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"a": np.zeros(10**5, np.int8)}).to_parquet(path)
    assert path.stat().st_size < 10**4
    with pytest.raises(DamagedFileError, match=f"{path} has 100,000 rows, where at most 99,999 can be"):
        parquet_table(str(path), 99_999)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", None])
def test_what_is_no_table_is_told_with_the_file(tmp_path, content):
    path = tmp_path / "a.parquet"
    os.mkfifo(path) if content is None else path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=str(path)):
        parquet_table(str(path), 9)


@pytest.mark.parametrize("name", ["genes.csv", "genes.parquet"])
def test_a_table_of_genes_that_is_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DamagedFileError, match="no regular file"):
        GeneTable.from_source(Path(tmp_path / name))


def test_flipped_bytes_under_a_checksum_are_found(tmp_path):
    path = tmp_path / "a.parquet"
    plain = {"compression": None, "use_dictionary": False, "write_statistics": False}
    pd.DataFrame({"a": [1111, 2222]}).to_parquet(path, write_page_checksum=True, **plain)
    stored = bytearray(path.read_bytes())
    stored[stored.index((1111).to_bytes(8, "little"))] ^= 1
    path.write_bytes(stored)
    with pytest.raises(DamagedFileError, match=f"{path}.*checksum"):
        parquet_table(str(path), 9)
