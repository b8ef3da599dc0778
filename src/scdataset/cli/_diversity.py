"""``scdataset diversity``: how mixed the labels of a batch are at each block size."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scdataset._packages import needing
from scdataset._tables import counted
from scdataset.cli._arguments import Commands, add_command, add_json, add_plot, add_sizes, checked_plot
from scdataset.cli._opening import add_opening, opening
from scdataset.cli._output import Block, Heading, Table, Text, show, show_json

if TYPE_CHECKING:
    from scdataset.insight.diversity import Diversity

__all__ = ["add"]

_SIZES = (1, 4, 16, 64, 256, 1024, 4096)
"""Block sizes beside the one that is asked for."""


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    diversity = add_command(
        commands,
        "diversity",
        summary="show how mixed the labels of a batch are at each block size, against true random order",
        description=(
            "Show the entropy of a label in a batch, expected at each block size, as a share of that in true random "
            "order. Only the column of obs is read."
        ),
        examples=(
            "scdataset diversity heart.h5ad --label cell_type",
            "scdataset diversity 'plates/*.h5ad' --label plate --block-size 64 --plot diversity.png",
        ),
    )
    diversity.add_argument("files", nargs="+", metavar="FILE", help="a file, a zarr store, a folder or a pattern")
    diversity.add_argument("--label", required=True, metavar="COLUMN", help="column of obs that batches should mix")
    add_sizes(diversity)
    add_plot(diversity, "entropy against block size")
    add_json(diversity)
    add_opening(diversity.add_argument_group("opening"))
    diversity.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    with needing("scdataset diversity", "anndata", "h5py", "isal"):
        from scdataset.cells import open_collection  # noqa: PLC0415 its packages are optional
        from scdataset.insight.diversity import diversity  # noqa: PLC0415
    checked_plot(arguments.plot)
    labels = open_collection(arguments.files, **opening(arguments)).obs_frame([arguments.label])[arguments.label]
    sizes = sorted({*_SIZES, arguments.block_size})
    curve = [diversity(labels, size, arguments.fetch_factor, arguments.batch_size) for size in sizes]
    chosen = curve[sizes.index(arguments.block_size)]
    if arguments.plot:
        chosen.plot(arguments.plot, block_sizes=sizes)
    if arguments.json:
        show_json([one.as_dict() for one in curve])
    else:
        show(_blocks(arguments.label, curve, chosen, arguments.plot))
    return 0


def _blocks(label: str, curve: "Sequence[Diversity]", chosen: "Diversity", plot: Path | None) -> Iterator[Block]:
    yield Heading(
        f"{label}: {counted(chosen.n_classes, 'class')}, {chosen.whole:.3f} bits; batches of {chosen.batch_size}, "
        f"{chosen.fetch_factor} a window"
    )
    rows = tuple(
        (
            f"{one.block_size:,}" + (" *" if one is chosen else ""),
            f"{one.entropy:.3f}",
            f"{100 * one.share:.1f}%",
            one.method,
        )
        for one in curve
    )
    yield Table(("block size", "bits a batch", "of true random", "by"), rows, frozenset({1, 2}))
    mark = "good" if chosen.share >= 0.99 else "note"
    yield Text(f"Blocks of {chosen.block_size}: {chosen}.", mark)
    if plot:
        yield Text(f"Drawn in {plot}.")
