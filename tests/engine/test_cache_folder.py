"""The cache: made once for a file as it is, whole or not at all."""

import os
from pathlib import Path

import pytest

from scdataset.engine.cache_folder import cache_folder, kept


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    return path


def fill(folder):
    (folder / "made").write_text("made")


def fail(folder):
    fill(folder)
    message = "not made"
    raise ValueError(message)


def test_where_it_is(monkeypatch, folder, tmp_path):
    assert cache_folder() == folder
    monkeypatch.delenv("SCDATASET_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert cache_folder() == tmp_path / "shared" / "scdataset"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "scdataset"


def test_it_is_made_once(file):
    made = kept(str(file), "kind", fill)
    assert kept(str(file), "kind", fail) == made
    assert (made / "made").read_text() == "made"


@pytest.mark.parametrize("change", ["size", "time", "kind", "path"])
def test_it_is_made_again_for_another_file(file, change):
    made = kept(str(file), "kind", fill)
    if change == "size":
        file.write_text("other")
        os.utime(file, ns=(0, 0))
    if change == "time":
        os.utime(file, ns=(0, 1))
    if change == "path":
        file = file.rename(file.with_name("moved"))
    assert kept(str(file), "kind 2" if change == "kind" else "kind", fill) != made


def test_what_fails_leaves_nothing(file, folder):
    with pytest.raises(ValueError, match="not made"):
        kept(str(file), "kind", fail)
    assert list(folder.iterdir()) == []


def test_the_first_of_two_that_make_it_is_kept(file, folder):
    def slow(made):
        kept(str(file), "kind", fill)
        (made / "late").write_text("late")

    made = kept(str(file), "kind", slow)
    assert [path.name for path in made.iterdir()] == ["made"]
    assert list(folder.iterdir()) == [made]
