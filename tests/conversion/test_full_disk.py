"""A disk that fills up in the middle of a conversion."""

import errno
import os
import sys

import pytest
from tests.conversion.stores import SMALL, content

from scdataset import OutputError, convert


class Disk:
    """Refuses to open more files for writing, below a folder, than there is room for."""

    folder = ""
    room = sys.maxsize

    def hear(self, event, arguments):
        if event != "open" or not self.folder or not str(arguments[0]).startswith(self.folder):
            return
        if arguments[2] & (os.O_WRONLY | os.O_RDWR):
            self.room -= 1
            if self.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])


@pytest.fixture(scope="session")
def only_disk():
    disk = Disk()
    sys.addaudithook(disk.hear)  # which nothing removes
    return disk


@pytest.fixture
def disk(only_disk, tmp_path):
    only_disk.folder = str(tmp_path)
    yield only_disk
    only_disk.folder = ""


def test_a_disk_that_fills_up_at_any_file_is_told_and_nothing_is_lost(path, tmp_path, expected, disk):
    out, room, told = tmp_path / "a.zarr", 0, []
    while not out.exists():
        disk.room, room = room, room + 29
        try:
            convert(path, out, **SMALL)
        except OutputError as error:
            told.append(str(error))
    assert len(told) > 3
    assert all(f"The disk of {out} is full" in message and "What was written is kept" in message for message in told)
    assert content(out) == expected
    assert [one.name for one in tmp_path.iterdir()] == ["a.zarr"]
