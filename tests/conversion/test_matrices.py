"""Shards of matrices."""

import errno
import os

import pytest
from tests.conversion.stores import SMALL, content

from scdataset import CollectionChangedError, OutputError, convert
from scdataset.conversion import matrices


def test_a_source_that_changes_meanwhile_is_an_error(path, tmp_path, monkeypatch):
    read = matrices.ShardWriter.sample

    def with_other_rows(self, start, stop):
        self.pointers[1] += 1
        return read(self, start, stop)

    monkeypatch.setattr(matrices.ShardWriter, "sample", with_other_rows)
    with pytest.raises(CollectionChangedError, match="do not change the source"):
        convert(path, tmp_path / "a.zarr", **SMALL)


def test_a_disk_that_fills_up_keeps_what_was_written(path, tmp_path, expected, monkeypatch):
    write, written = matrices.ShardWriter.write, []

    def full(self, number, shard):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, number, shard)
        written.append((self.matrix.name, number))

    with monkeypatch.context() as patch:
        patch.setattr(matrices.ShardWriter, "write", full)
        with pytest.raises(OutputError, match=r"is full .*What was written is kept: make space"):
            convert(path, tmp_path / "a.zarr", **SMALL)
    again = []

    def counted(self, number, shard):
        again.append((self.matrix.name, number))
        write(self, number, shard)

    monkeypatch.setattr(matrices.ShardWriter, "write", counted)
    convert(path, tmp_path / "a.zarr", **SMALL)
    assert content(tmp_path / "a.zarr") == expected
    assert len({*written, *again}) == len(written) + len(again)
    assert {name for name, _ in again} == {"X", "obsm/X_pca", "obsm/sites"}
