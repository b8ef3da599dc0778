"""Garbage collections while modules are imported."""

import gc
import subprocess
import sys

import pytest

from scdataset._imports import without_collections

IMPORT = """
import gc, torch
seen = []
gc.callbacks.append(lambda phase, _: seen.append(phase))
import scdataset
print(len(seen) < 10, gc.isenabled())
"""


def fail():
    with without_collections():
        assert not gc.isenabled()
        raise ZeroDivisionError


def test_collections_stop_and_go_on_as_they_did():
    with pytest.raises(ZeroDivisionError):
        fail()
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.slow
def test_the_package_is_imported_without_collections():
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
