"""Space on the disk."""

import pytest
from tests.conversion.stores import SMALL

from scdataset import OutputError, convert


def test_a_disk_without_room_is_told_first(path, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("scdataset.conversion.disk_space.shutil.disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match=r"has 1 KB free"):
        convert(path, tmp_path / "a.zarr", **SMALL)
