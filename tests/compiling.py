"""Lets processes that run tests side by side compile each function once: the others wait, and load it from disk."""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher

_FOLDER = Path(tempfile.gettempdir(), f"scdataset-tests-{os.getuid()}")


_compile_alone, _locked = Dispatcher.compile, []


def compile_once():
    """Lock a file of each function's own while it is compiled, and with it those that it calls."""
    _FOLDER.mkdir(exist_ok=True)
    Dispatcher.compile = _compile_locked


def _compile_locked(self, signature):
    function = f"{self.py_func.__code__.co_filename} {self.py_func.__qualname__}"
    name = hashlib.blake2b(function.encode(), digest_size=8).hexdigest()
    # The lock of this process goes first: a thread that waited for it with a file locked could block all others.
    with global_compiler_lock:
        if _locked:  # the file of a function that calls this one, for which another process may wait
            return _compile_alone(self, signature)
        with (_FOLDER / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _locked.append(name)
            try:
                return _compile_alone(self, signature)
            finally:
                _locked.clear()
                fcntl.flock(file, fcntl.LOCK_UN)  # closing it leaves it locked by whoever was forked meanwhile
