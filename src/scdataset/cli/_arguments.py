"""Types of arguments that commands share, with one line of help for what is wrong."""

import argparse

__all__ = ["add_json", "example", "fraction", "positive", "seconds", "whole"]

_LARGEST = 2**32 - 1
"""The largest seed that all of numpy, torch and scikit-learn take."""


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


def example(*lines: str) -> str:
    """Return the end of a help text, with examples."""
    return "examples:\n" + "\n".join(f"  {line}" for line in lines)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
