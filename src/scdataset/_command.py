"""Ctrl-C in the command, also while it is still importing its packages, which takes seconds."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["INTERRUPTED", "interrupted_quietly", "noted_interrupts", "tell_interrupted"]

INTERRUPTED = 130
"""The exit code that a shell gives to a program that ended by SIGINT."""

_NAMES = ("scdataset", "scdataset.exe")


@contextmanager
def interrupted_quietly() -> Iterator[None]:
    """End the command by one line and its exit code if it is interrupted; programs that import this get the exception.

    The package is imported before any code of the command runs, so that it cannot do this itself. The process ends at
    once: an exception in the import of a compiled module may come out of it as an ImportError.
    """
    if not (_is_command() and _has_default()):
        yield
        return
    with _handled_by(_leave):
        yield


@contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Record interrupts in a list, to tell errors that they cause from all others."""
    noted: list[int] = []
    if not _has_default():
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> NoReturn:
        noted.append(number)
        signal.default_int_handler(number, frame)

    with _handled_by(note):
        yield noted


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], NoReturn]) -> Iterator[None]:
    """Give SIGINT a handler while the context lasts."""
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _has_default() -> bool:
    """Tell whether SIGINT has Python's own handler, and this thread may set another."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _leave(*_: object) -> NoReturn:
    tell_interrupted()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def tell_interrupted() -> None:
    """Tell on stderr that the command was interrupted."""
    sys.stderr.write("scdataset: interrupted\n")


def _is_command() -> bool:
    """Tell whether this process is ``scdataset`` or ``python -m scdataset``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # Python is still looking for the module
        return not {"scdataset", "-mscdataset"}.isdisjoint(sys.orig_argv)
    return program.replace("\\", "/").rpartition("/")[2] in _NAMES
