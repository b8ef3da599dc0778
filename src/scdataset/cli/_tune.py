"""``scdataset tune``: block size, fetch factor and threads for a file on this disk."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scdataset._packages import needing
from scdataset._tables import bytes_text, counted
from scdataset.cli._arguments import Commands, add_command, add_json, add_plot, checked_plot, positive, seconds
from scdataset.cli._opening import add_opening, opening
from scdataset.cli._output import Block, Fields, Heading, Line, Table, Text, show, show_json

if TYPE_CHECKING:
    from scdataset.insight.trials import Trial
    from scdataset.insight.tune import Tuned

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    tune = add_command(
        commands,
        "tune",
        summary="find block_size, fetch_factor and threads for a file on this disk, by short timed reads",
        description=(
            "Find the fastest block_size, fetch_factor and number of threads for a file on this disk within memory and "
            "diversity, by short timed reads."
        ),
        examples=(
            "scdataset tune heart.h5ad --label cell_type",
            "scdataset tune 'plates/*.h5ad' --memory '2 GiB' --diversity 0.95 --plot tuned.png",
        ),
    )
    tune.add_argument("files", nargs="+", metavar="FILE", help="a file, a zarr store, a folder or a pattern of them")
    tune.add_argument("--label", metavar="COLUMN", help="column of obs that batches should mix (default: the files)")
    tune.add_argument("--batch-size", type=positive, default=64, metavar="N", help="cells in a batch (default: 64)")
    tune.add_argument("--memory", default="4 GiB", metavar="SIZE", help="what the loop may take (default: 4 GiB)")
    tune.add_argument(
        "--diversity",
        type=float,
        default=0.99,
        metavar="SHARE",
        help="entropy of a batch as a share of true random order's, at least (default: 0.99)",
    )
    tune.add_argument("--seconds", type=seconds, default=None, metavar="S", help="time to measure, at most")
    add_opening(tune.add_argument_group("opening"))
    add_plot(tune, "throughput against diversity")
    add_json(tune)
    tune.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    with needing("scdataset tune", "anndata", "h5py", "isal"):
        from scdataset.cells import open_collection  # noqa: PLC0415 its packages are optional
        from scdataset.insight.tune import tune  # noqa: PLC0415
    checked_plot(arguments.plot)
    cells = open_collection(arguments.files, **opening(arguments))
    limits = {} if arguments.seconds is None else {"seconds": arguments.seconds}
    tuned = tune(
        cells,
        arguments.batch_size,
        labels=arguments.label,
        memory=arguments.memory,
        diversity=arguments.diversity,
        verbose=False,
        **limits,
    )
    if arguments.plot:
        tuned.plot(arguments.plot)
    if arguments.json:
        show_json(tuned.as_dict())
    else:
        show(_blocks(arguments.files, tuned, arguments.plot))
    return 0


def _blocks(files: list[str], tuned: "Tuned", plot: Path | None) -> Iterator[Block]:
    best = tuned.best
    yield Heading(f"{files[0] if len(files) == 1 else counted(len(files), 'file')}: the fastest within the limits")
    threads = () if tuned.threads is None else (("threads", str(tuned.threads)),)
    yield Fields(
        (
            ("block_size", f"{tuned.block_size:,}"),
            ("fetch_factor", f"{tuned.fetch_factor:,}"),
            *threads,
            ("rows a second", f"{tuned.rows_per_second:,.0f}"),
            ("diversity", f"{100 * best.share:.1f}% of true random order, of {tuned.labels}"),
            ("memory", bytes_text(best.peak_bytes)),
        )
    )
    yield Heading("frontier, the most random first")
    headings = ("block_size", "fetch_factor", "rows a second", "diversity", "memory")
    yield Table(headings, tuple(map(_line, tuned.frontier)), frozenset(range(5)))
    call = f"scDataset(cells, BlockShuffling({tuned.block_size}), {tuned.batch_size}, {tuned.fetch_factor})"
    yield Text("")
    yield Line(call)
    if plot:
        yield Text(f"Drawn in {plot}.")


def _line(trial: "Trial") -> tuple[str, ...]:
    return (
        f"{trial.block_size:,}",
        f"{trial.fetch_factor:,}",
        f"{trial.rows_per_second:,.0f}",
        f"{100 * trial.share:.1f}%",
        bytes_text(trial.peak_bytes),
    )
