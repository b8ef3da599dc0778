"""Descriptors of this process."""

import errno
import os

import pytest

from scdataset.engine.bytes import descriptors


class File:
    def __init__(self, path):
        self.path, self.n_opened = path, 0

    def open_now(self):
        self.n_opened += 1
        return os.open(self.path, os.O_RDONLY)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a").touch()
    files = [File(tmp_path / "a") for _ in range(4)]
    yield files
    for file in files:
        descriptors.close(file)


def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_file_is_opened_once_until_it_is_closed(files):
    with descriptors.opened(files[0]) as first:
        pass
    with descriptors.opened(files[0]) as second:
        assert second == first
    descriptors.close(files[0])
    assert not is_open(first)
    with descriptors.opened(files[0]):
        assert files[0].n_opened == 2


def test_a_file_that_is_read_is_closed_when_its_readers_have_ended(files):
    with descriptors.opened(files[0]) as descriptor:
        with descriptors.opened(files[0]):
            descriptors.close(files[0])
        assert is_open(descriptor)
    assert not is_open(descriptor)


def test_the_file_used_longest_ago_is_closed_for_another(files, monkeypatch):
    monkeypatch.setattr(descriptors, "_OPEN", descriptors._Open())
    monkeypatch.setattr(descriptors, "most_open", lambda: 2)
    opened = []
    for file in (files[0], files[1], files[0], files[2]):
        with descriptors.opened(file) as descriptor:
            opened.append(descriptor)
    assert [file.n_opened for file in files] == [1, 1, 1, 0]
    with descriptors.opened(files[0]), descriptors.opened(files[1]):
        assert [file.n_opened for file in files] == [1, 2, 1, 0]
    for file in files:
        descriptors.close(file)


def test_files_that_cannot_all_be_opened_leave_none_in_use(files, tmp_path):
    gone = File(tmp_path / "gone")
    with pytest.raises(FileNotFoundError), descriptors.all_opened([*files[:2], gone]):
        pass
    with descriptors.opened(files[0]) as descriptor:
        descriptors.close(files[0])
    assert not is_open(descriptor)


def test_idle_files_are_closed_where_the_process_has_no_descriptor_left(files, monkeypatch):
    with descriptors.opened(files[0]) as idle:
        pass

    def full(file=files[1], first=files[1].open_now):
        if is_open(idle):
            raise OSError(errno.EMFILE, "too many")
        return first()

    monkeypatch.setattr(files[1], "open_now", full)
    with descriptors.opened(files[1]):
        assert files[1].n_opened == 1
