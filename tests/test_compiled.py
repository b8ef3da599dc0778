"""Compiled functions carry a fingerprint of this package's source, so that code kept by another version is not used."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import scdataset
from scdataset import _compiled
from scdataset._compiled import compiled


@pytest.fixture
def copied_package(tmp_path, monkeypatch):
    """Return a copy of the package's source, which fingerprints are taken of until the test ends."""
    copy = tmp_path / "scdataset"
    shutil.copytree(Path(scdataset.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_compiled, "__file__", str(copy / "_compiled.py"))
    _compiled._fingerprint.cache_clear()
    yield copy
    _compiled._fingerprint.cache_clear()


def _fingerprint():
    _compiled._fingerprint.cache_clear()
    return _compiled._fingerprint()


def test_the_qualified_name_ends_in_a_fingerprint():
    def double(x):
        return 2 * x

    name = double.__qualname__
    assert re.fullmatch(re.escape(name) + r"_[0-9a-f]{12}", compiled(double).__qualname__)
    assert double.__name__ == "double"


def test_a_compiled_function_gives_what_python_gives():
    def total(values):
        result = 0.0
        for value in values:
            result += value
        return result

    values = np.arange(10.0)
    assert compiled(total)(values) == total(values) == 45.0


def test_the_fingerprint_is_the_same_for_the_same_source(copied_package):
    assert _fingerprint() == _fingerprint()
    (copied_package / "errors.py").write_text("# nothing is compiled here\n")
    first = _fingerprint()
    (copied_package / "errors.py").write_text("# nor here\n")
    assert _fingerprint() == first


@pytest.mark.parametrize("changed", ["strategy/keys.py", "strategy/draws.py", "_compiled.py"])
def test_the_fingerprint_changes_with_any_compiled_file(copied_package, changed):
    before = _fingerprint()
    source = (copied_package / changed).read_text()
    (copied_package / changed).write_text(source + "\n# changed\n")
    assert _fingerprint() != before
    (copied_package / changed).write_text(source)
    assert _fingerprint() == before
