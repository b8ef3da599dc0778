"""The cache: made once for a file as it is, whole or not at all."""

import errno
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.children import output_of

from scdataset.engine import cache_folder as cache_folder_module
from scdataset.engine import cache_paths
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.cache_folder import cached_copy
from scdataset.engine.cache_paths import cache_folder
from scdataset.engine.cache_table import remove
from scdataset.errors import CacheError, DamagedFileError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    return path


def fill(folder, content="made"):
    (folder / "made").write_text(content)
    return {}


COPIES = """
import sys
import warnings
from scdataset.engine.cache_folder import cached_copy
warnings.simplefilter("ignore")

def make(folder):
    (folder / "x").write_text("x")
    return {}

print(cached_copy(sys.argv[1], "kind", make)["x"].place)
"""


def place(files):
    return Path(files["made"].place)


def fail(folder):
    fill(folder)
    message = "not made"
    raise ValueError(message)


def no_home(*_, **__):
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
    made = place(cached_copy(str(file), "kind", fill))
    assert place(cached_copy(str(file), "kind", fail)) == made
    assert made.read_text() == "made"


@pytest.mark.parametrize("change", ["size", "time", "kind", "path"])
def test_it_is_made_again_for_another_file(file, change):
    made = place(cached_copy(str(file), "kind", fill))
    if change == "size":
        file.write_text("other")
        os.utime(file, ns=(0, 0))
    if change == "time":
        os.utime(file, ns=(0, 1))
    if change == "path":
        file = file.rename(file.with_name("moved"))
    assert place(cached_copy(str(file), "kind 2" if change == "kind" else "kind", fill)) != made
    assert made.exists() == (change in ("kind", "path"))  # that of a file that has changed goes


def test_what_fails_leaves_nothing(file, folder):
    with pytest.raises(ValueError, match="not made"):
        cached_copy(str(file), "kind", fail)
    assert list(folder.iterdir()) == []


def test_the_first_of_two_that_make_it_is_kept(file, folder):
    def slow(made):
        cached_copy(str(file), "kind", fill)
        (made / "late").write_text("late")
        return {}

    assert list(cached_copy(str(file), "kind", slow)) == ["made"]
    assert len(list(folder.iterdir())) == 1


def test_it_is_made_again_for_a_file_written_anew_with_the_same_size_and_time(file):
    os.utime(file, ns=(1, 1))
    cached_copy(str(file), "kind", fill)
    file.write_text("two")
    os.utime(file, ns=(1, 1))
    assert place(cached_copy(str(file), "kind", partial(fill, content="two"))).read_text() == "two"


def test_it_is_not_made_again_where_permissions_or_links_change(file, monkeypatch):
    files = cached_copy(str(file), "kind", fill)
    file.chmod(0o400)
    file.with_name("link").hardlink_to(file)
    monkeypatch.setattr(cache_folder_module, "_SETTLED", 0)
    cached_copy(str(file), "kind", fail)
    monkeypatch.setattr(cache_folder_module._Copy, "content", None)  # which is noted
    cached_copy(str(file), "kind", fail)
    assert files["made"].read(0, 9) == b"made"  # whoever reads the copy goes on


@pytest.mark.parametrize("cause", ["no directory", "no home", "no space"])
def test_where_it_cannot_be_written_a_temporary_copy_serves_and_the_variable_is_named(
    file, folder, monkeypatch, tmp_path, cause
):
    if cause == "no home":
        for name in ("SCDATASET_CACHE_DIR", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(cache_paths, "user_cache_path", no_home)
    if cause == "no directory":
        folder.write_text("a file")

    def make(made):
        if cause == "no space" and folder in made.parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return fill(made)

    with pytest.warns(UserWarning, match="set SCDATASET_CACHE_DIR to a directory"):
        made = place(cached_copy(str(file), "kind", make))
    assert made.read_text() == "made"
    assert tmp_path not in made.parents


def test_where_nothing_can_be_written_the_error_names_the_file_and_the_variable(file, folder, monkeypatch):
    folder.write_text("a file")
    monkeypatch.setattr(cache_folder_module, "_temporary", lambda _: folder)
    with pytest.raises(CacheError, match=rf"{file} can be read only through a copy.*SCDATASET_CACHE_DIR"):
        cached_copy(str(file), "kind", fill)


def test_temporary_copies_end_with_the_process_that_made_them(file, folder):
    folder.write_text("a file")
    copied = output_of(COPIES, file).strip()
    assert "scdataset-copies-" in copied
    assert not Path(copied).exists()


@pytest.mark.slow
def test_temporary_copies_of_a_process_that_was_killed_go_with_the_next(file, folder, tmp_path, monkeypatch):
    folder.write_text("a file")
    copied = Path(output_of(f"import os\n{COPIES}\nsys.stdout.flush()\nos._exit(0)", file).strip())
    assert copied.read_text() == "x"
    os.utime(copied.parents[1], (1, 1))
    cache_folder_module._temporary.cache_clear()
    with pytest.warns(UserWarning, match="cannot be cached"):
        cached_copy(str(file), "kind", fill)
    assert not copied.exists()


def spoil(made, how):
    """Damage a copy, or what lies in its place, or its manifest."""
    where, what = how.split(": ")
    path = {"folder": made.parent, "file": made, "manifest": made.with_name("manifest")}[where]
    stored = path.read_bytes() if path.is_file() else b""
    if what in ("cut", "flipped", "longer"):
        changed = bytes([stored[0] ^ 1]) + stored[1:]
        path.write_bytes({"cut": stored[:-1], "flipped": changed, "longer": stored + b"\0"}[what])
        return
    remove(path)
    if what == "a file":
        path.write_bytes(b"scdataset")
    elif what == "a folder":
        (path / "made").mkdir(parents=True)
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a loop":
        path.symlink_to(path)
    elif what == "a device":
        path.symlink_to("/dev/zero")


WHATS = ["gone", "a folder", "a pipe", "a loop", "a device"]


@pytest.fixture
def in_time():
    """End a test that hangs."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize(
    "how",
    [f"{where}: {what}" for where in ("folder", "file", "manifest") for what in WHATS]
    + [f"{where}: {what}" for where in ("file", "manifest") for what in ("cut", "flipped", "longer")]
    + ["folder: a file"],
)
def test_whatever_is_wrong_with_a_copy_it_is_made_again(file, folder, how):
    made = place(cached_copy(str(file), "kind", fill))
    spoil(made, how)
    assert place(cached_copy(str(file), "kind", fill)).read_text() == "made"
    assert place(cached_copy(str(file), "kind", fail)) == made
    assert list(folder.iterdir()) == [made.parent]


def test_copies_that_were_swapped_are_made_again(file):
    other = file.with_name("other")
    other.write_text("one")
    makes = {path: partial(fill, content=path.name) for path in (file, other)}
    made = {path: place(cached_copy(str(path), "kind", make)) for path, make in makes.items()}
    aside = file.with_name("aside")
    for source, target in ((made[file], aside), (made[other], made[file].parent), (aside, made[other].parent)):
        (source if source == aside else source.parent).rename(target)
    for path, make in makes.items():
        assert place(cached_copy(str(path), "kind", make)).read_text() == path.name


def test_a_file_that_changes_while_its_copy_is_made_is_refused(file, folder):
    def change(made):
        file.write_text("two")
        os.utime(file, ns=(1, 1))
        return fill(made)

    with pytest.raises(DamagedFileError, match=f"{file} was replaced or changed"):
        cached_copy(str(file), "kind", change)
    assert list(folder.iterdir()) == []


def test_a_change_too_quick_to_show_in_the_times_of_a_file_is_noticed(file, monkeypatch):
    """The clock of a file system stands still for milliseconds."""
    identity = LocalFile(str(file)).identity
    monkeypatch.setattr(LocalFile, "identity", identity)
    cached_copy(str(file), "kind", fill)
    file.write_text("two")
    assert place(cached_copy(str(file), "kind", lambda folder: fill(folder, "two"))).read_text() == "two"
    monkeypatch.setattr(cache_folder_module, "_SETTLED", 0)  # a while later it can be told
    cached_copy(str(file), "kind", fail)
    monkeypatch.setattr(cache_folder_module._Copy, "content", None)
    cached_copy(str(file), "kind", fail)


KILLED = """
import os
import sys
from scdataset.engine.cache_folder import cached_copy

def make(folder):
    (folder / "made").write_text("ma")
    os._exit(0)

cached_copy(sys.argv[1], "kind", make)
"""


def test_a_process_killed_while_it_makes_a_copy_leaves_nothing_that_is_used_and_the_next_removes_it(file, folder):
    output_of(KILLED, file)
    [left] = folder.iterdir()
    assert left.name.startswith("making-")
    os.utime(left, (1, 1))
    made = place(cached_copy(str(file), "kind", fill))
    assert made.read_text() == "made"
    assert list(folder.iterdir()) == [made.parent]


def test_values_are_checked_when_they_are_read_and_everything_else_at_once(file):
    content = np.random.default_rng(0).bytes(200_000)

    def make(folder):
        (folder / "made").write_bytes(content)
        return {"made": np.array([[1000, 200_000]])}

    made = cached_copy(str(file), "kind", make)["made"]
    changed = bytearray(content)
    changed[150_000] ^= 1
    Path(made.place).write_bytes(changed)
    found = cached_copy(str(file), "kind", fail)["made"]
    found.check_bytes(np.array([1000, 50_000]), np.array([30_000, 40_000]))
    with pytest.raises(DamagedFileError, match=rf"^The copy of {file} in the cache, .*made, is damaged between byte"):
        found.check_bytes(np.array([140_000]), np.array([8]))
    assert Path(cached_copy(str(file), "kind", make)["made"].place).read_bytes() == content
