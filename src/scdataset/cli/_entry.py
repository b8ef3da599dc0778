"""Arguments in, exit code out: 0 for success, 2 for bad input, 130 for Ctrl-C."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scdataset._packages import missing
from scdataset.errors import ScDatasetError

_DEMO_PACKAGES = ("anndata", "h5py", "isal", "rich", "scikit-learn")
_DEMO_MODULES = {"anndata", "h5py", "pandas", "rich", "sklearn"}
_LARGEST = 2**32 - 1
"""The largest seed that all of numpy, torch and scikit-learn take."""


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
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], None] = arguments.run
    try:
        run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("scdataset: interrupted\n")
        return 130
    except (ScDatasetError, OSError) as error:
        # From a worker process the message comes at the end of a traceback.
        message = str(error).strip().rpartition("\n")[-1]
        sys.stderr.write(f"scdataset: error: {message}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scdataset",
        description="Shuffled minibatches from single-cell data on disk.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="show on a cell-type classifier what the order of the cells does",
        description=(
            "Train the same linear cell-type classifier on the same cells in three orders (as in the file, in "
            "shuffled blocks, truly random) and compare speed and test scores. Without --data, an atlas is simulated "
            "once and kept in the cache folder."
        ),
    )
    _add_demo_arguments(demo)
    demo.set_defaults(run=_demo, parser=demo)
    return parser


def _add_demo_arguments(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--data", nargs="+", type=Path, metavar="FILE", help="h5ad files with counts in X")
    demo.add_argument("--label", metavar="COLUMN", help="column of obs to predict; needed with --data")
    for name, kind, default, meaning in _DEMO_NUMBERS:
        demo.add_argument(name, type=kind, default=default, metavar="N", help=f"{meaning} (default: {default})")


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) > _LARGEST:
        message = f"{text!r} is not a whole number from 0 to {_LARGEST}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _positive(text: str) -> int:
    number = _whole(text)
    if number == 0:
        message = "0 is too few; give at least 1"
        raise argparse.ArgumentTypeError(message)
    return number


def _fraction(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1.0:
        message = f"{text!r} is not a number between 0 and 1"
        raise argparse.ArgumentTypeError(message)
    return number


_DEMO_NUMBERS: tuple[tuple[str, Callable[[str], float], float, str], ...] = (
    ("--epochs", _positive, 1, "passes over the training cells"),
    ("--block-size", _positive, 16, "neighbouring cells that stay together in shuffled blocks"),
    ("--fetch-factor", _positive, 256, "batches that are read and shuffled together"),
    ("--batch-size", _positive, 64, "cells in a batch"),
    ("--workers", _whole, 0, "processes that load data; 0 loads in this one"),
    ("--seed", _whole, 0, "seed of the split, the first weights and the orders"),
    ("--test-fraction", _fraction, 0.2, "share of the cells kept for the test"),
)


def _demo(arguments: argparse.Namespace) -> None:
    if arguments.data and not arguments.label:
        arguments.parser.error("--data needs --label COLUMN, the column of obs to predict")
    try:
        # Imported here because ``scdataset --help`` must work without the demo's packages.
        from scdataset.cli import _demo as demo  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _DEMO_MODULES:
            raise
        needed_for = "scdataset demo"
        raise missing(needed_for, *_DEMO_PACKAGES, because=error) from error
    demo.run(
        arguments.data,
        arguments.label,
        demo.Training(
            epochs=arguments.epochs,
            block_size=arguments.block_size,
            fetch_factor=arguments.fetch_factor,
            batch_size=arguments.batch_size,
            workers=arguments.workers,
            seed=arguments.seed,
        ),
        arguments.test_fraction,
    )
