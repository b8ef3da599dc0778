"""Small files that unpack to gigabytes: refused before they fill the disk."""

import shutil
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from scdataset import open_collection
from scdataset.cells.formats.parquet_tables import parquet_table
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import arrow, expansion
from scdataset.engine.containers.arrow_claims import claimed_size
from scdataset.engine.containers.expansion import Expansion, least_size
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
    with pytest.raises(CacheError, match=rf"{bomb} can be read only through a copy.* MB, of 1\.05 MB free"):
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
    Expansion(LocalFile(str(tmp_path / "a.parquet")), tmp_path / "a.arrow", least).add(table.nbytes)


@pytest.fixture
def claiming(tmp_path, monkeypatch):
    """Return a function that writes compressed Arrow, of which the values of the lists claim to take many bytes."""
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    table = pa.table({"genes": [list(range(40))] * 1000, "expressions": [[1.0] * 40] * 1000})

    def write(new, n_bytes):
        path = tmp_path / "a.arrow"
        with new(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        stored = path.read_bytes()
        claim = (40_000 * 8).to_bytes(8, "little")
        assert stored.count(claim) == 2
        path.write_bytes(stored.replace(claim, n_bytes.to_bytes(8, "little")))
        return str(path)

    return write


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_compressed_batch_that_claims_more_than_its_file_can_hold_is_refused_before_it_is_decoded(claiming, new):
    assert open_collection(claiming(new, 40_000 * 8), gene_table=40).read(np.arange(2))["X"].sum() == 80
    path = claiming(new, 1 << 40)
    with pytest.raises(DamagedFileError, match=rf"{path} unpacks to 2,[\d,]{{15}} bytes"):
        open_collection(path, gene_table=40)


def test_a_dictionary_and_buffers_that_did_not_shrink_count_as_well(tmp_path):
    column = pa.array(np.random.default_rng(0).integers(0, 2**62, 1000))
    table = pa.table({"a": column, "b": pa.array(["x" * 1000, "y"] * 500).dictionary_encode()})
    for compression, least in (("lz4", 8000 + 1001 + 4000), (None, 0)):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table)
        n_batches, found = claimed_size(sink.getvalue())
        assert n_batches == 1
        assert least <= found <= least + 200


def test_pages_of_parquet_count_with_their_decompressed_size(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(
        pa.table({"a": ["x" * 1000 + str(i) for i in range(1000)]}), path, compression="zstd", use_dictionary=False
    )
    assert least_size(pa.parquet.read_metadata(path)) > 10**6
    monkeypatch.setattr(expansion, "_FREE", 1 << 10)
    monkeypatch.setattr(expansion, "_RATIO", 1)
    with pytest.raises(DamagedFileError, match=f"{path} unpacks to"):
        parquet_table(str(path), 1000)


def test_a_footer_with_more_batches_than_the_stream_of_the_file_is_refused(tmp_path):
    table = pa.table({"genes": [list(range(40))] * 10, "expressions": [[1.0] * 40] * 10})
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    stored = path.read_bytes()
    messages = [at for at in range(8, len(stored), 8) if stored[at : at + 4] == b"\xff\xff\xff\xff"]
    path.write_bytes(stored[: messages[2]] + b"\xff" * 8 + stored[messages[2] + 8 :])
    with pytest.raises(DamagedFileError, match="its footer has 2 record batches, and its stream 1"):
        open_collection(path, gene_table=40)
