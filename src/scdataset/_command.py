"""Ctrl-C while the command is still importing its packages, which takes seconds."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["INTERRUPTED", "interrupted_quietly", "tell_interrupted"]

INTERRUPTED = 130
"""The exit code that a shell gives to a program that ended by SIGINT."""

_NAMES = ("scdataset", "scdataset.exe")


@contextmanager
def interrupted_quietly() -> Iterator[None]:
    """End the command by one line and its exit code if it is interrupted; programs that import this get the exception.

    The package is imported before any code of the command runs, so that it cannot catch this itself.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not _is_command():
            raise
        tell_interrupted()
        raise SystemExit(INTERRUPTED) from None


def tell_interrupted() -> None:
    """Write the line."""
    sys.stderr.write("scdataset: interrupted\n")


def _is_command() -> bool:
    """Tell whether this process is ``scdataset`` or ``python -m scdataset``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # as long as Python looks for the module
        return not {"scdataset", "-mscdataset"}.isdisjoint(sys.orig_argv)
    return program.replace("\\", "/").rpartition("/")[2] in _NAMES
