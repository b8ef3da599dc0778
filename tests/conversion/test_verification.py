"""What was written is compared with the source."""

import numpy as np
import pytest
from tests.conversion.stores import SMALL, content

from scdataset import DamagedFileError, convert
from scdataset.conversion import matrices
from scdataset.conversion.workspace import Workspace


@pytest.mark.parametrize("where", ["X/data/c/1", "X/indices/c/1"])
def test_verifying_finds_a_shard_that_differs(path, tmp_path, expected, monkeypatch, where):
    note = Workspace.note

    def damaging(self, matrix, number, stored):
        note(self, matrix, number, stored)
        if (matrix.name, number) == ("X", 1):
            content = bytearray((self.store / where).read_bytes())
            content[len(content) // 2] ^= 1
            (self.store / where).write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "note", damaging)
        with pytest.raises(DamagedFileError, match="Shard 1 of X"):
            convert(path, tmp_path / "a.zarr", verify=True, **SMALL)
    assert not (tmp_path / "a.zarr").exists()
    convert(path, tmp_path / "a.zarr", verify=True, **SMALL)
    assert content(tmp_path / "a.zarr") == expected


def test_verifying_finds_values_that_were_wrong_before_they_were_written(path, tmp_path, monkeypatch):
    write = matrices.ShardWriter.write
    monkeypatch.setattr(
        matrices.ShardWriter,
        "write",
        lambda self, number, shard: write(self, number, tuple(np.roll(a, 1) for a in shard)),
    )
    with pytest.raises(DamagedFileError, match=r"Shard 0 of X .*differs from the source"):
        convert(path, tmp_path / "a.zarr", verify=True, **SMALL)
