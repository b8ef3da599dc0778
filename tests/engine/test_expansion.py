"""Small files that unpack to gigabytes: refused before they fill the disk."""

import shutil
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from scdataset import open_collection
from scdataset.engine.storage import arrow, expansion
from scdataset.engine.storage.expansion import Expansion, least_size
from scdataset.errors import CacheError, DamagedFileError


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """Write a file of a few kilobytes with rows that take megabytes."""
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    lists = pa.array([np.arange(40)] * 50_000)
    counts = pa.array([np.ones(40, "f4")] * 50_000)
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"genes": lists, "expressions": counts}), path, compression="zstd")
    assert path.stat().st_size < 10**5
    return path


def test_more_than_a_file_of_its_size_can_hold_is_refused_before_it_is_written(bomb, tmp_path, monkeypatch):
    monkeypatch.setattr(expansion, "_FREE", 1 << 10)
    monkeypatch.setattr(expansion, "_RATIO", 10)
    monkeypatch.setattr(pa.ipc, "new_stream", None)
    with pytest.raises(DamagedFileError, match=f"{bomb} unpacks to .* bytes or more"):
        open_collection(bomb, gene_table=40)


def test_more_than_its_metadata_tell_is_refused_as_it_is_written(bomb, tmp_path, monkeypatch):
    monkeypatch.setattr(expansion, "_FREE", 1 << 22)
    monkeypatch.setattr(expansion, "_RATIO", 1)
    monkeypatch.setattr(arrow, "least_size", lambda metadata: 0)
    with pytest.raises(DamagedFileError, match=f"{bomb} unpacks to .* bytes or more"):
        open_collection(bomb, gene_table=40)
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_more_than_there_is_space_for_is_not_begun(bomb, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    monkeypatch.setattr(pa.ipc, "new_stream", None)
    with pytest.raises(CacheError, match=rf"{bomb} can be read only through a copy.* bytes, of {1 << 20} free"):
        open_collection(bomb, gene_table=40)


def test_a_compressed_batch_counts_as_well(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(expansion, "_FREE", 1 << 10)
    monkeypatch.setattr(expansion, "_RATIO", 1)
    table = pa.table({"genes": [list(range(40))] * 1000, "expressions": [[1.0] * 40] * 1000})
    path = str(tmp_path / "a.arrow")
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    with pytest.raises(DamagedFileError, match=f"{path} unpacks to"):
        open_collection(path, gene_table=40)


def test_the_least_size_is_below_that_of_the_rows(tmp_path):
    table = pa.table({"a": np.arange(1000), "b": pa.array(np.ones(1000, "i1")), "c": ["text"] * 1000})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    least = least_size(pa.parquet.read_metadata(tmp_path / "a.parquet"))
    assert 9000 <= least <= table.nbytes
    Expansion(str(tmp_path / "a.parquet"), tmp_path / "a.arrow", least).add(table.nbytes)
