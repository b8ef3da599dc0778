"""Copies in the cache take no more than they may, without those in use."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scdataset.engine import cache_copies
from scdataset.engine.cache_folder import cached_copy
from scdataset.errors import ArgumentValueError

KIB = 1 << 10


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return a folder of copies that may take 25 KiB, where copies that a test makes do not count as in use."""
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SCDATASET_CACHE_GIB", str(25 / 2**20))
    monkeypatch.setattr(cache_copies, "mark_used", lambda _: None)
    monkeypatch.setattr("scdataset.engine.bytes.copied.mark_used", lambda _: None)
    return tmp_path / "cache"


def make(tmp_path, name, *, when=None, size=10 * KIB):
    """Copy a file, at a time in seconds, and return the copy's folder."""
    source = tmp_path / name
    if not source.exists():
        source.write_text(name)

    def fill(folder):
        (folder / "made").write_bytes(bytes(size))
        return {}

    folder = Path(cached_copy(str(source), "kind-1", fill)["made"].place).parent
    if when is not None:
        os.utime(folder, (when, when))
    return folder


def test_the_copies_used_longest_ago_are_removed_for_a_new_one(cache, tmp_path):
    copies = [make(tmp_path, name, when=when) for name, when in (("a", 20), ("b", 10), ("c", 30))]
    assert [copy.exists() for copy in copies] == [True, False, True]
    os.utime(copies[0], (40, 40))
    make(tmp_path, "d")
    assert [copy.exists() for copy in copies] == [True, False, False]
    assert len(list(cache.iterdir())) == 2


def test_reading_a_copy_is_a_use(cache, tmp_path, monkeypatch):
    copy = make(tmp_path, "a", when=10)
    monkeypatch.undo()
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(cache))
    make(tmp_path, "a")
    assert copy.stat().st_mtime > 10


def test_a_new_copy_stays_however_large_it_is(cache, tmp_path):
    old, new = make(tmp_path, "a", when=10), make(tmp_path, "b", size=100 * KIB)
    assert not old.exists()
    assert new.exists()


READER = """
import sys
from scdataset.engine.cache_folder import cached_copy
cached_copy(sys.argv[1], "kind-1", None)["made"].read(0, 1)
print("read", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_copy_that_another_process_reads_is_not_removed_until_it_ends(cache, tmp_path, monkeypatch):
    copy = make(tmp_path, "a", when=10)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "a")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "read\n"
        os.utime(copy, (10, 10))
        make(tmp_path, "b", when=20)
        make(tmp_path, "c", when=30)
        assert copy.exists()
        reader.communicate()
    monkeypatch.setattr("scdataset._processes._OLD", 0)
    os.utime(copy, (10, 10))
    make(tmp_path, "d")
    assert not copy.exists()


def test_a_copy_opened_while_it_is_removed_stays(cache, tmp_path, monkeypatch):
    copy = make(tmp_path, "a", when=10)
    put_aside = cache_copies.put_aside

    def opened_first(path, kind):
        (path / "used-0123456789ab-0123456789abcdef-1").touch()
        return put_aside(path, kind)

    monkeypatch.setattr(cache_copies, "put_aside", opened_first)
    make(tmp_path, "b", size=100 * KIB)
    assert copy.exists()
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(("days", "stays"), [(1, True), (31, False)])
def test_a_process_of_another_machine_counts_for_a_month(cache, tmp_path, days, stays):
    copy = make(tmp_path, "a")
    mark = copy / "used-0123456789ab-0123456789abcdef-1"
    mark.touch()
    os.utime(mark, (time.time() - days * 24 * 3600,) * 2)
    os.utime(copy, (10, 10))
    make(tmp_path, "b", size=100 * KIB)
    assert copy.exists() == stays


def test_what_is_no_copy_stays(cache, tmp_path):
    for name in ("tables", "benchmarks", "mine-0123456789abcdef-0123456789abcdef"):
        (cache / name).mkdir(parents=True)
        (cache / name / "file").write_bytes(bytes(100 * KIB))
    (cache / "benchmarks" / "manifest").touch()
    make(tmp_path, "a")
    assert len(list(cache.iterdir())) == 4


def test_half_of_the_disk_is_for_copies_where_nothing_is_said(cache, tmp_path, monkeypatch):
    monkeypatch.delenv("SCDATASET_CACHE_GIB")
    copies = [make(tmp_path, name) for name in "abcd"]
    assert all(copy.exists() for copy in copies)
    free = type("Usage", (), {"free": 40 * KIB})()
    monkeypatch.setattr(cache_copies.shutil, "disk_usage", lambda _: free)
    make(tmp_path, "e", size=1)
    assert [copy.exists() for copy in copies] == [False, True, True, True]


@pytest.mark.parametrize("text", ["much", "-1", "nan"])
@pytest.mark.usefixtures("cache")
def test_a_size_that_is_none_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.setenv("SCDATASET_CACHE_GIB", text)
    with pytest.raises(ArgumentValueError, match=f"SCDATASET_CACHE_GIB='{text}' is no size; give the GiB"):
        make(tmp_path, "a")
