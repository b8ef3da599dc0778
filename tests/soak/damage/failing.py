"""Reads that fail, are interrupted or return less than asked for, at any moment of opening and reading a file."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from tests.soak.damage.children import in_child
from tests.soak.damage.sources import SOURCES, outcome, read_all

_SHIM = Path(__file__).parents[2] / "engine" / "failing_reads.c"
_HARMLESS = {"EINTR": errno.EINTR, "short": 0}
_ERRORS = {name: getattr(errno, name) for name in ("EIO", "EAGAIN", "ESTALE")}


class Failing:
    """One source of which some reads fail; it takes the shim, see `with_shim`."""

    name = "failing"
    right_only = True
    files = tuple(SOURCES)
    harms = (
        *(f"{name} {how}" for name in _HARMLESS for how in ("once", "often")),
        *(f"{name} {how}" for name in _ERRORS for how in ("once", "often", "for ever")),
    )

    def __init__(self, files):
        self._files = files
        self._counts = {}

    def prepare(self, name):
        """Count the reads of opening and reading a source."""
        self._files.right(name)
        word = in_child(_count, self._files.path(name), SOURCES[name].options)
        assert word.isdigit(), word
        self._counts[name] = int(word)

    def run(self, case):
        """Try one case; return what came of it."""
        name, how = case.harm.split(" ", 1)
        rng = np.random.default_rng(case.seed)
        first = int(rng.integers(1, self._counts[case.file] + 1))
        more = {"once": 0, "often": int(rng.integers(2, 5)), "for ever": 1}[how]
        faults = (_HARMLESS | _ERRORS)[name], first, more
        path, right = self._files.path(case.file), self._files.right(case.file)
        word = in_child(_read, path, right, SOURCES[case.file].options, faults)
        if name in _HARMLESS and word != "right values":
            return f"raised by a harmless {name}: {word}"
        return word


def is_preloaded():
    """Tell whether this process runs with the shim."""
    return hasattr(ctypes.CDLL(None), "fail_reads_from")


def with_shim(folder):
    """Run this program again with the shim preloaded, if there is a compiler and it is not yet."""
    if is_preloaded() or shutil.which("cc") is None or not sys.platform.startswith("linux"):
        return
    library = f"{folder}/failing_reads.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, _SHIM, "-ldl"], check=True)
    command = [sys.executable, "-m", "tests.soak.damage", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, "LD_PRELOAD": library})


def _below(path):
    """Let only files below a path fail; of one that is copied, its copies are elsewhere and are read as they are."""
    shim = ctypes.CDLL(None)
    shim.fail_below(str(path).encode())
    return shim


def _count(path, options):
    shim = _below(path)
    shim.fail_reads_from(0, 0, 0)
    read_all(path, options)
    return str(shim.reads_seen())


def _read(path, right, options, faults):
    shim = _below(path)
    shim.fail_reads_from(*faults)
    try:
        return outcome(path, right, options)
    finally:
        shim.fail_reads_from(0, 1 << 30, 0)
