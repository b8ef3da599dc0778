"""Arguments in, exit code out: 0 for success, 2 for bad input, 130 for Ctrl-C."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scdataset.errors import MissingDependencyError, ScDatasetError

_DEMO_PACKAGES = {"anndata", "h5py", "pandas", "rich", "sklearn"}


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
        sys.stderr.write(f"scdataset: error: {' '.join(str(error).split())}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scdataset", description="Shuffled minibatches from single-cell data on disk."
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
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_demo_arguments(demo)
    demo.set_defaults(run=_demo, parser=demo)
    return parser


def _add_demo_arguments(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--data", nargs="+", type=Path, metavar="FILE", help="h5ad files with counts in X, instead")
    demo.add_argument("--label", metavar="COLUMN", help="column of obs to predict; needed with --data")
    demo.add_argument("--epochs", type=_positive, default=1, help="passes over the training cells")
    demo.add_argument("--block-size", type=_positive, default=16, help="cells that stay neighbours in a shuffled block")
    demo.add_argument("--fetch-factor", type=_positive, default=256, help="batches that are read and shuffled together")
    demo.add_argument("--batch-size", type=_positive, default=64, help="cells in a batch")
    demo.add_argument("--workers", type=_whole, default=0, help="processes that load data; 0 loads in this one")
    demo.add_argument("--seed", type=_whole, default=0, help="seed of the split, the first weights and the orders")
    demo.add_argument("--test-fraction", type=_fraction, default=0.2, help="share of the cells kept for the test")


def _whole(text: str) -> int:
    if not text.isdecimal():
        message = f"{text!r} is not a whole number of at least 0"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        message = f"{text!r} is not a whole number of at least 1"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _fraction(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1.0:
        message = f"{text!r} is not a number between 0 and 1"
        raise argparse.ArgumentTypeError(message)
    return number


def _demo(arguments: argparse.Namespace) -> None:
    if arguments.data and not arguments.label:
        arguments.parser.error("--data needs --label COLUMN, the column of obs to predict")
    try:
        # Imported here because ``scdataset --help`` must work without the demo's packages, and at once.
        from scdataset.cli import _demo as demo  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _DEMO_PACKAGES:
            raise
        message = f"scdataset demo needs {package}, which is not installed; run: pip install scdataset[demo]"
        raise MissingDependencyError(message) from error
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
