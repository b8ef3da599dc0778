"""The cache: made once for a file as it is, whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scdataset.engine import cache_folder as cache_folder_module
from scdataset.engine.cache_folder import cache_folder, kept
from scdataset.errors import CacheError


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


def no_home():
    message = "Could not determine home directory."
    raise RuntimeError(message)


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


def test_it_is_made_again_for_a_file_written_anew_with_the_same_size_and_time(file):
    os.utime(file, ns=(1, 1))
    made = kept(str(file), "kind", fill)
    file.write_text("two")
    os.utime(file, ns=(1, 1))
    assert kept(str(file), "kind", fill) != made


@pytest.mark.parametrize("cause", ["no directory", "no home", "no space"])
def test_where_it_cannot_be_written_a_temporary_copy_serves_and_the_variable_is_named(
    file, folder, monkeypatch, tmp_path, cause
):
    if cause == "no home":
        for name in ("SCDATASET_CACHE_DIR", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(Path, "home", no_home)
    if cause == "no directory":
        folder.write_text("a file")

    def make(made):
        if cause == "no space" and folder in made.parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fill(made)

    with pytest.warns(UserWarning, match="set SCDATASET_CACHE_DIR to a directory"):
        made = kept(str(file), "kind", make)
    assert (made / "made").read_text() == "made"
    assert tmp_path not in made.parents


def test_where_nothing_can_be_written_the_error_names_the_file_and_the_variable(file, folder, monkeypatch):
    folder.write_text("a file")
    monkeypatch.setattr(cache_folder_module, "_temporary", lambda _: folder)
    with pytest.raises(CacheError, match=rf"{file} can be read only through a copy.*SCDATASET_CACHE_DIR"):
        kept(str(file), "kind", fill)


def test_temporary_copies_end_with_the_process_that_made_them(file, folder):
    folder.write_text("a file")
    program = (
        "import sys, warnings\nwarnings.simplefilter('ignore')\n"
        "from scdataset.engine.cache_folder import kept\n"
        "print(kept(sys.argv[1], 'kind', lambda made: (made / 'x').write_text('x')))"
    )
    child = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=True)
    assert child.stdout
    assert not Path(child.stdout.strip()).exists()
