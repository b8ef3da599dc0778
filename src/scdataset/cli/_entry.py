"""Arguments in, exit code out: 0 for success, 1 for faults that were found, 2 for bad input, 130 for Ctrl-C."""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from scdataset._arguments import nearest
from scdataset._command import INTERRUPTED, noted_interrupts, tell_interrupted
from scdataset._version import __version__
from scdataset.cli import _bench, _check, _completion, _convert, _demo_command, _diversity, _info, _tune
from scdataset.errors import ScDatasetError

_COMMANDS = (_info, _check, _convert, _bench, _tune, _diversity, _demo_command, _completion)

_CLOSED_PIPE = 141
"""The exit code that a shell gives to a program that ended by SIGPIPE."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``scdataset``.

    Parameters
    ----------
    argv
        Arguments without the name of the program; by default those of the process.

    Returns
    -------
    int
        The exit code. Wrong arguments leave through argparse's ``SystemExit``, with code 2.
    """
    with noted_interrupts() as interrupts:
        try:
            return _run(argv)
        except (KeyboardInterrupt, Exception) as error:
            if interrupts or isinstance(error, KeyboardInterrupt):
                tell_interrupted()
                return INTERRUPTED
            if isinstance(error, BrokenPipeError):
                _leave_pipe()
                return _CLOSED_PIPE
            if isinstance(error, (ScDatasetError, OSError)):
                sys.stderr.write(f"scdataset: error: {_one_line(str(error))}\n")
                return 2
            raise


def _run(argv: Sequence[str] | None) -> int:
    _prepare_stdout()
    arguments, unknown = parser().parse_known_args(argv)
    if unknown:
        _refuse(arguments.parser, unknown)
    run: Callable[[argparse.Namespace], int] = arguments.run
    code = run(arguments)
    sys.stdout.flush()
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(
        prog="scdataset",
        description="Shuffled minibatches from single-cell data on disk.",
        epilog="scdataset COMMAND --help shows the options of a command, with examples.",
    )
    made.add_argument("--version", action="version", version=f"scdataset {__version__}")
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    for command_parser in commands.choices.values():
        command_parser.set_defaults(parser=command_parser)
    commands.choices["completion"].set_defaults(parsers=commands.choices)
    return made


def _refuse(command: argparse.ArgumentParser, unknown: Sequence[str]) -> NoReturn:
    """Leave with the options of a command that are near unknown ones."""
    options = [word for line in command.format_help().split() for word in re.findall(r"--[a-z][a-z-]*", line)]
    near = nearest(unknown[0].partition("=")[0], options)
    command.error(f"there are no arguments {' '.join(unknown)}{near}")


def _prepare_stdout() -> None:
    """Discard output if stdout is closed, and replace characters that its encoding lacks."""
    if sys.stdout is None:
        sys.stdout = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _one_line(message: str) -> str:
    """Return a message as one line; from a worker process it comes at the end of a traceback."""
    text = message.strip()
    if "Traceback (most recent call last)" in text:
        text = text.rpartition("\n")[-1]
    return " ".join(text.split("\n")).removeprefix("source=")


def _leave_pipe() -> None:
    """Point stdout at nothing, so that the flush at exit does not fail on a closed pipe."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
