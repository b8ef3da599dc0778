"""What a process left behind is told by its name, and nothing else is."""

import os
import subprocess
import sys

import pytest

from scdataset import _processes
from scdataset._processes import abandoned, name_of_process, new_name


@pytest.fixture
def dead():
    """Return the id of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def put(folder, name, *, old=True):
    path = folder / name
    path.write_bytes(b"")
    if old:
        os.utime(path, (1, 1))
    return path


def test_names_of_a_kind_differ():
    assert len({new_name("kind") for _ in range(100)}) == 100


def test_files_and_folders_of_a_process_that_ended_are_abandoned(tmp_path, dead):
    name = name_of_process(new_name("kind"), dead)
    file = put(tmp_path, f"{name}.json")
    folder = tmp_path / name
    folder.mkdir()
    os.utime(folder, (1, 1))
    assert list(abandoned(tmp_path, "kind", (".json",))) == [file]
    assert list(abandoned(tmp_path, "kind")) == [folder]


def test_nothing_else_is(tmp_path, dead, monkeypatch):
    name = new_name("kind")
    put(tmp_path, f"{name}-{dead}.json", old=False)  # it may have been written a moment ago
    put(tmp_path, f"{name}-{os.getpid()}.json")
    put(tmp_path, f"{new_name('other')}-{dead}.json")
    put(tmp_path, f"kind-0123456789ab-0123456789abcdef-{dead}.json")  # of another machine or container
    for wrong in (f"{name}-0{dead}", f"{name}-{dead}x", f"x{name}-{dead}", f"{name}x-{dead}", f"{name}--{dead}", name):
        put(tmp_path, f"{wrong}.json")
    put(tmp_path, f"{name}-{dead}.txt")
    put(tmp_path, f"{name}-{dead}.jsonx")
    (tmp_path / f"{new_name('kind')}-{dead}.json").symlink_to(put(tmp_path, "target"))
    os.mkfifo(tmp_path / f"{new_name('kind')}-{dead}.json")
    assert list(abandoned(tmp_path, "kind", (".json",))) == []
    assert list(abandoned(tmp_path / "nowhere", "kind", (".json",))) == []
    theirs = put(tmp_path, f"{new_name('kind')}-{dead}.json")
    assert list(abandoned(tmp_path, "kind", (".json",))) == [theirs]
    monkeypatch.setattr(_processes.os, "getuid", lambda: -1)
    assert list(abandoned(tmp_path, "kind", (".json",))) == []
