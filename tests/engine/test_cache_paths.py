"""Where the cache is, as variables of the environment say."""

from pathlib import Path

import pytest

from scdataset.engine import cache_paths
from scdataset.engine.cache_paths import cache_folder, said_size, switched_off
from scdataset.errors import ArgumentValueError


def test_a_variable_says_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SCDATASET_CACHE_DIR")
    assert cache_folder().name == "scdataset"
    monkeypatch.setattr(cache_paths, "user_cache_path", lambda *_, **__: Path("~/x"))
    with pytest.raises(RuntimeError, match="no home directory"):
        cache_folder()


@pytest.mark.parametrize(("said", "off"), [("0", True), ("OFF", True), ("no", True), ("1", False), ("", False)])
def test_a_variable_switches_it_off(monkeypatch, said, off):
    monkeypatch.setenv("SCDATASET_CACHE", said)
    assert switched_off() is off


def test_sizes_are_gib(monkeypatch):
    assert said_size("SCDATASET_NO_SUCH_GIB") is None
    monkeypatch.setenv("SCDATASET_SOME_GIB", "0.5")
    assert said_size("SCDATASET_SOME_GIB") == 2**29


@pytest.mark.parametrize("wrong", ["much", "-1", "nan"])
def test_what_is_no_size_is_refused(monkeypatch, wrong):
    monkeypatch.setenv("SCDATASET_SOME_GIB", wrong)
    with pytest.raises(ArgumentValueError, match=f"SCDATASET_SOME_GIB='{wrong}' is no size"):
        said_size("SCDATASET_SOME_GIB")
