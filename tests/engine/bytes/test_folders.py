"""Files beside each other are found in folders of this machine and of stores alike."""

import os
from pathlib import Path

import pytest

from scdataset.engine.bytes.folders import bytes_in, files_in, is_file, is_folder, last_change, within


@pytest.fixture
def folder(tmp_path):
    for name in ("b.parquet", "a.parquet", "c.txt", "below/d.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    return str(tmp_path)


def test_files_are_listed_by_their_ending_in_the_order_of_names(folder):
    assert files_in(folder, ".parquet") == [within(folder, "a.parquet"), within(folder, "b.parquet")]
    assert files_in(within(folder, "none"), ".parquet") == []


def test_files_and_folders_are_told_apart(folder):
    os.mkfifo(within(folder, "pipe"))
    paths = [within(folder, *names) for names in [("c.txt",), ("below", "d.parquet"), ("below",), ("pipe",), ("none",)]]
    assert [is_file(path) for path in paths] == [True, True, False, False, False]
    assert [is_folder(path) for path in paths] == [False, False, True, False, False]


def test_bytes_of_a_folder_are_those_of_all_files_below(folder):
    assert bytes_in(folder) == 20
    assert bytes_in(within(folder, "c.txt")) == 5


def test_the_folder_that_a_missing_file_would_lie_in_or_below_tells_its_last_change(folder):
    above, changed = last_change(within(folder, "below", "x", "y"))
    assert (above, changed) == (within(folder, "below"), Path(above).stat().st_mtime_ns)


def test_a_folder_of_a_store_is_the_same(server):
    pytest.importorskip("obstore")
    folder = server.s3("a")
    assert files_in(folder, ".bin") == [server.s3("a/x.bin")] == [within(folder, "x.bin")]
    assert files_in(folder, ".txt") == []
    assert [is_file(within(folder, name)) for name in ("x.bin", "y.bin")] == [True, False]
    assert not is_folder(folder)
