"""Compiled functions carry a fingerprint of this package's source, so that code kept by another version is not used."""

import gc
import os
import re
import shutil
import signal
import threading
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import TypingError

import scdataset
from scdataset import _compiled
from scdataset._compiled import compiled, read_only


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


@pytest.fixture
def compiling():
    """Return the events of a function that is being compiled, each of which takes another event."""
    listener = _compiled._WithoutCollections()
    yield listener
    gc.enable()


def test_garbage_is_not_collected_until_the_last_function_is_compiled(compiling):
    for depth in (1, 2):
        compiling.on_start(None)
        assert not gc.isenabled(), depth
    compiling.on_end(None)
    assert not gc.isenabled()
    compiling.on_end(None)
    assert gc.isenabled()


def test_collections_that_were_off_stay_off(compiling):
    gc.disable()
    compiling.on_start(None)
    compiling.on_end(None)
    assert not gc.isenabled()


def test_a_function_that_cannot_be_compiled_leaves_collections_on():
    def wrong(x):
        return x + "text"

    with pytest.raises(TypingError):
        compiled(wrong)(1)
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_while_a_thread_compiles_can_compile(compiling):
    compiles, ends = threading.Event(), threading.Event()

    def work():
        with global_compiler_lock:
            compiling.on_start(None)
            compiles.set()
            ends.wait(0.5)  # the fork waits for this
            compiling.on_end(None)

    thread = threading.Thread(target=work)
    thread.start()
    compiles.wait()
    if not (child := os.fork()):
        signal.alarm(60)  # ends a child that hangs
        os._exit(0 if gc.isenabled() and numba.njit(lambda number: number + 1)(1) == 2 else 1)
    ends.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


class Started:
    """The event of a function that is being compiled."""

    def __init__(self, module):
        def function():
            pass

        function.__module__ = module
        self.data = {"dispatcher": type("Dispatcher", (), {"py_func": function})}


@pytest.fixture
def clock(monkeypatch):
    """Return a list with the time, in seconds."""
    now = [0.0]
    monkeypatch.setattr(_compiled.time, "monotonic", lambda: now[0])
    return now


def test_the_log_says_once_that_functions_are_compiled_where_it_takes_long(clock, caplog):
    notice, own = _compiled._Notice(), Started("scdataset.engine")
    for seconds, n_said in ((0.6, 0), (0.6, 1), (5, 1)):
        notice.on_start(own)
        clock[0] += seconds
        notice.on_end(own)
        assert len(caplog.records) == n_said
    assert caplog.records[0].name == "scdataset"
    assert caplog.records[0].levelname == "WARNING"
    assert "compiling, once for this machine" in caplog.text


def test_the_log_says_so_before_all_is_compiled(clock, caplog):
    notice, own = _compiled._Notice(), Started("scdataset.engine")
    notice.on_start(own)
    clock[0] = 2
    notice.on_start(Started("numba.np"))
    assert "compiling" in caplog.text


def test_other_packages_may_compile_as_long_as_they_like(clock, caplog):
    notice, other = _compiled._Notice(), Started("scdatasets")
    for _ in range(2):
        notice.on_start(other)
        clock[0] += 5
        notice.on_end(other)
    notice.on_start(Started("scdataset.engine"))
    notice.on_end(None)
    assert not caplog.records


def test_functions_without_a_module_are_others(clock, caplog):
    notice, nameless = _compiled._Notice(), Started(None)
    notice.on_start(nameless)
    clock[0] = 5
    notice.on_end(nameless)
    assert not caplog.records


def test_arrays_are_of_one_type_for_functions_that_read_them():
    values = np.arange(3)
    frozen = values.copy()
    frozen.flags.writeable = False
    assert numba.typeof(read_only(values)) == numba.typeof(read_only(frozen)) == numba.typeof(frozen)
    assert np.shares_memory(read_only(values), values)
    assert values.flags.writeable


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
