"""``scdataset demo``: the arguments; the demo itself needs optional packages."""

import argparse
from collections.abc import Callable
from pathlib import Path

from scdataset._packages import missing
from scdataset.cli._arguments import Commands, add_command, add_plot, checked_plot, fraction, positive, whole

__all__ = ["add"]

_PACKAGES = ("anndata", "h5py", "isal", "scikit-learn")
_MODULES = {"anndata", "h5py", "pandas", "sklearn"}

_NUMBERS: tuple[tuple[str, Callable[[str], float], float, str], ...] = (
    ("--epochs", positive, 1, "passes over the training cells"),
    ("--block-size", positive, 16, "neighbouring cells that stay together in shuffled blocks"),
    ("--fetch-factor", positive, 256, "batches that are read and shuffled together"),
    ("--batch-size", positive, 64, "cells in a batch"),
    ("--workers", whole, 0, "processes that load data; 0 loads in this one"),
    ("--seed", whole, 0, "seed of the split, the first weights and the orders"),
    ("--test-fraction", fraction, 0.2, "share of the cells kept for the test"),
)


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    demo = add_command(
        commands,
        "demo",
        summary="show on a cell-type classifier what the order of the cells does",
        description=(
            "Train the same linear cell-type classifier on the same cells in three orders (as in the file, in "
            "shuffled blocks, truly random) and compare speed and test scores. Without --data, an atlas is simulated "
            "once and kept in the cache folder."
        ),
        examples=("scdataset demo", "scdataset demo --data heart.h5ad --label cell_type --plot curves.png"),
    )
    demo.add_argument("--data", nargs="+", type=Path, metavar="FILE", help="h5ad files with counts in X")
    demo.add_argument("--label", metavar="COLUMN", help="column of obs to predict; needed with --data")
    for name, kind, default, meaning in _NUMBERS:
        demo.add_argument(name, type=kind, default=default, metavar="N", help=f"{meaning} (default: {default})")
    add_plot(demo, "learning curves")
    demo.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.data and not arguments.label:
        arguments.parser.error("--data needs --label COLUMN, the column of obs to predict")
    checked_plot(arguments.plot)
    try:
        # Imported here because ``scdataset --help`` must work without the demo's packages.
        from scdataset.cli import _demo as demo  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _MODULES:
            raise
        needed_for = "scdataset demo"
        raise missing(needed_for, *_PACKAGES, because=error) from error
    training = demo.Training(
        epochs=arguments.epochs,
        block_size=arguments.block_size,
        fetch_factor=arguments.fetch_factor,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        seed=arguments.seed,
    )
    demo.run(arguments.data, arguments.label, training, arguments.test_fraction, arguments.plot)
    return 0
