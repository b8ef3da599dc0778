"""Arguments and help texts that commands share; a wrong argument is refused in one line."""

import argparse
import re
import shutil
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from scdataset._packages import missing
from scdataset.errors import ArgumentValueError

__all__ = [
    "ArgumentGroup",
    "Commands",
    "add_command",
    "add_json",
    "add_plot",
    "add_sizes",
    "checked_plot",
    "fraction",
    "positive",
    "seconds",
    "whole",
]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 as the next, without a public name
"""The result of ``add_subparsers``, to which a command adds its parser."""

ArgumentGroup: TypeAlias = "argparse._ArgumentGroup"  # noqa: SLF001 as above
"""Options under one heading of a help text."""

_LARGEST = 2**32 - 1
"""The largest seed that all of numpy, torch and scikit-learn take."""

_SIZES = (
    ("--block-size", 16, "neighbouring cells that stay together"),
    ("--fetch-factor", 256, "batches that are read and shuffled together"),
    ("--batch-size", 64, "cells in a batch"),
)

_CONTINUED = " \\"
"""The end of a line of a command that goes on."""

_PICTURES = (".png", ".svg", ".pdf", ".jpg")


def whole(text: str) -> int:
    """Return a whole number, 0 included."""
    if not text.isdecimal() or int(text) > _LARGEST:
        message = f"{text!r} is not a whole number from 0 to {_LARGEST}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    number = whole(text)
    if number == 0:
        message = "0 is too few; give at least 1"
        raise argparse.ArgumentTypeError(message)
    return number


def fraction(text: str) -> float:
    """Return a number between 0 and 1, both excluded."""
    number = _number(text)
    if not 0.0 < number < 1.0:
        message = f"{text!r} is not a number between 0 and 1"
        raise argparse.ArgumentTypeError(message)
    return number


def seconds(text: str) -> float:
    """Return a positive number of seconds."""
    number = _number(text)
    if not 0.0 < number < float("inf"):
        message = f"{text!r} is not a number of seconds above 0"
        raise argparse.ArgumentTypeError(message)
    return number


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option for a program that reads the result."""
    parser.add_argument("--json", action="store_true", help="write the result as JSON, for a program to read")


def add_command(
    commands: Commands, name: str, summary: str, description: str, examples: Sequence[str], usage: str | None = None
) -> argparse.ArgumentParser:
    """Add a command whose help, with its examples, is fitted to the width of the terminal."""
    width = shutil.get_terminal_size().columns - 2  # as argparse has it
    return commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, width),
        epilog="examples:\n" + "\n".join(_example(line, width) for line in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=usage,
    )


def _example(line: str, width: int) -> str:
    """Return an example, continued on more lines before options where it is wider; a shell reads it as one."""
    lines = [" "]
    for part in re.split(r" (?=--)", line):
        if len(lines[-1]) + len(part) + len(_CONTINUED) >= width and lines[-1].strip():
            lines[-1] += _CONTINUED
            lines.append("     ")
        lines[-1] += f" {part}"
    return "\n".join(lines)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add the options for blocks, windows and batches."""
    for name, default, meaning in _SIZES:
        parser.add_argument(name, type=positive, default=default, metavar="N", help=f"{meaning} (default: {default})")


def add_plot(parser: argparse.ArgumentParser, drawn: str) -> None:
    """Add the option for a picture."""
    parser.add_argument("--plot", type=Path, metavar="PICTURE", help=f"draw {drawn} to this .png, .svg or .pdf")


def checked_plot(path: Path | None) -> None:
    """Raise before the work is done if a picture could not be written in the end.

    Raises
    ------
    MissingDependencyError
        Without matplotlib.
    ArgumentValueError
        If its folder is not there, or its ending is of no picture.
    """
    if path is None:
        return
    if find_spec("matplotlib") is None:
        needed_for = "--plot"
        raise missing(needed_for, "matplotlib")
    if path.suffix not in _PICTURES or not path.parent.is_dir():
        wrong = "its folder is not there" if path.suffix in _PICTURES else f"its ending is none of {list(_PICTURES)}"
        message = f"--plot {path}: {wrong}; give the path of a picture in a folder that exists."
        raise ArgumentValueError(message)
