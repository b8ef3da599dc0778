"""The one place where functions are compiled to machine code."""

import gc
import hashlib
import logging
import os
import time
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numba
import numpy as np
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from scdataset._types import Array

if TYPE_CHECKING:
    from types import FunctionType

__all__ = ["COMPILES", "compile_seconds", "compiled", "read_only"]

COMPILES: bool = not numba.config.DISABLE_JIT
"""Whether functions are compiled: with ``NUMBA_DISABLE_JIT=1`` they run as Python, slower and with equal results."""

_LOG = logging.getLogger("scdataset")

_PATIENCE = 1.0
"""Seconds of compiling after which the log says so."""

F = TypeVar("F", bound=Callable[..., object])


class _WithoutCollections(event.Listener):  # type: ignore[misc]
    """Stops garbage collections while a function is compiled: they take a third of the time beside torch and pandas."""

    def __init__(self) -> None:
        self._depth = 0
        self._collects = False

    def on_start(self, _: object) -> None:
        """Note that one more function is compiled; all are in one thread, which holds numba's lock."""
        if self._depth == 0:
            self._collects = gc.isenabled()
            gc.disable()
        self._depth += 1

    def on_end(self, _: object) -> None:
        """Note that it is done."""
        self._depth -= 1
        if self._depth == 0 and self._collects:
            gc.enable()


class _Notice(event.Listener):  # type: ignore[misc]
    """Logs once that functions of this package are being compiled, if that takes long: as a warning, to be seen."""

    def __init__(self) -> None:
        self._running: list[FunctionType] = []
        self._begun = self.seconds = 0.0
        self._was_said = False

    def on_start(self, started: event.Event) -> None:
        """Note the function, and the time if it is not compiled for another one."""
        if not self._running:
            self._begun = time.monotonic()
        self._running.append(started.data["dispatcher"].py_func)
        self._say_if_long()

    def on_end(self, _: object) -> None:
        """Note that a function is done."""
        self._say_if_long()
        is_own = self._is_own
        self._running.pop()
        if is_own and not self._running:
            self.seconds += time.monotonic() - self._begun

    @property
    def _is_own(self) -> bool:
        """Whether a function of this package caused the compilation that is running."""
        module: str | None = self._running[0].__module__  # None for functions that exec made
        return module is not None and module.partition(".")[0] == __package__

    def _say_if_long(self) -> None:
        seconds = self.seconds + time.monotonic() - self._begun
        if self._is_own and not self._was_said and seconds >= _PATIENCE:
            self._was_said = True
            _LOG.warning("compiling, once for this machine and version: the first batches take some seconds longer")


_WITHOUT_COLLECTIONS, _NOTICE = _WithoutCollections(), _Notice()

if COMPILES:
    event.register("numba:compile", _WITHOUT_COLLECTIONS)
    event.register("numba:compile", _NOTICE)
    if hasattr(os, "register_at_fork"):  # a child that is forked while a thread compiles could never compile
        _unlock = global_compiler_lock.release
        os.register_at_fork(before=global_compiler_lock.acquire, after_in_parent=_unlock, after_in_child=_unlock)


def compiled(function: F) -> F:
    """Compile ``function`` on first call, without the GIL, and keep the code on disk.

    Numba keeps compiled code for as long as the function's own file is unchanged, although it holds the constants and
    functions of other files too. The fingerprint in the name makes code kept by another version of this package miss.
    """
    if not COMPILES:
        return _wrapping(function)
    function.__qualname__ += f"_{_fingerprint()}"
    return numba.njit(cache=True, nogil=True, no_cfunc_wrapper=True)(function)  # type: ignore[no-any-return]


def compile_seconds() -> float:
    """Return the seconds that this process has spent compiling functions of this package."""
    return _NOTICE.seconds


def read_only(values: Array) -> Array:
    """Return a view that cannot be written, so that a function that only reads is compiled once for both kinds."""
    view = values.view()
    view.flags.writeable = False
    return view


def _wrapping(function: F) -> F:
    """Return the function with integers that wrap around in silence, as they do in machine code."""

    @wraps(function)
    def wrapped(*args: object) -> object:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return function(*args)

    return cast("F", wrapped)


@cache
def _fingerprint() -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        if b"_compiled" in source or b"numba" in source:
            digest.update(source)
    return digest.hexdigest()
