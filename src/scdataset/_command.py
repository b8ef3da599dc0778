"""Ctrl-C in the command, also while it is still importing its packages, which takes seconds."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
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
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Note in a list that the process was interrupted, by which errors that come of it are told from others."""
    noted: list[int] = []
    if not _has_default():
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> NoReturn:
        noted.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _has_default() -> bool:
    """Tell whether an interrupt raises KeyboardInterrupt here, and may be made to do something else."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _leave(*_: object) -> NoReturn:
    tell_interrupted()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def tell_interrupted() -> None:
    """Write the line."""
    sys.stderr.write("scdataset: interrupted\n")


def _is_command() -> bool:
    """Tell whether this process is ``scdataset`` or ``python -m scdataset``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # as long as Python looks for the module
        return not {"scdataset", "-mscdataset"}.isdisjoint(sys.orig_argv)
    return program.replace("\\", "/").rpartition("/")[2] in _NAMES
