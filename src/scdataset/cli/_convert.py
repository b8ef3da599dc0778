"""``scdataset convert``: write cells as AnnData in a sharded zarr store."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from scdataset._packages import needing
from scdataset._tables import bytes_text, counted
from scdataset.cli._arguments import ArgumentGroup, Commands, add_command, add_json, positive, whole
from scdataset.cli._opening import add_opening, opening
from scdataset.cli._output import Block, Fields, Heading, Text, show, show_json

if TYPE_CHECKING:
    from scdataset.conversion import Conversion

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    convert = add_command(
        commands,
        "convert",
        summary="convert files to one small, fast zarr store that plain anndata reads",
        description=(
            "Write cells of any format that open_collection takes, joined and filtered, as AnnData in a sharded zarr "
            "store. An interrupted conversion goes on when the same command is run again."
        ),
        examples=(
            "scdataset convert heart.h5ad heart.zarr",
            "scdataset convert 'plates/*.h5ad' plates.zarr --shuffle --obs drug cell_line --verify",
            "scdataset convert a.h5ad b.h5ad both.zarr --join inner --label batch --genes panel.txt",
        ),
        usage="scdataset convert SOURCE [SOURCE ...] OUT.zarr [options]",
    )
    convert.add_argument("paths", nargs="+", metavar="PATH", help="the sources, and as the last one the new store")
    _add_content(convert.add_argument_group("content"))
    add_opening(convert.add_argument_group("opening"))
    _add_storage(convert.add_argument_group("order and storage"))
    add_json(convert)
    convert.set_defaults(run=_run)


def _add_content(content: ArgumentGroup) -> None:
    content.add_argument("--layers", nargs="+", default=[], metavar="NAME", help="layers to have as layers")
    content.add_argument("--obs", nargs="*", metavar="COLUMN", help="columns of obs (default: all)")
    content.add_argument("--obsm", nargs="*", metavar="NAME", help="arrays of obsm (default: all of one source)")
    content.add_argument("--raw", action="store_true", help="have raw, with all of its genes")
    content.add_argument("--label", metavar="COLUMN", help="new column of obs with the file of each cell")
    content.add_argument("--index-unique", metavar="TEXT", help="put between the name of a cell and that of its file")


def _add_storage(storage: ArgumentGroup) -> None:
    storage.add_argument(
        "--shuffle", action="store_true", help="write the cells in random order, with their source_row"
    )
    storage.add_argument("--seed", type=whole, default=0, metavar="N", help="seed of the shuffle (default: 0)")
    storage.add_argument(
        "--block-size", type=positive, default=16, metavar="N", help="cells that are shuffled as one (default: 16)"
    )
    storage.add_argument(
        "--compact",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="store counts in the narrowest type that holds them all (default: yes)",
    )
    storage.add_argument("--dtype", metavar="TYPE", help="store values in this type, if it holds them all")
    storage.add_argument("--chunk-size", type=positive, metavar="N", help="values in a chunk")
    storage.add_argument("--shard-size", type=positive, metavar="N", help="values in a shard, which is a file")
    storage.add_argument(
        "--verify", action="store_true", help="compare the store with the source before it is finished"
    )


def _run(arguments: argparse.Namespace) -> int:
    *sources, out = arguments.paths
    if not sources:
        arguments.parser.error("give at least one source and, as the last path, the store to write")
    given = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("paths", "json", "run", "parser", "storage_option") and value is not None
    }
    with needing("scdataset convert", "anndata", "h5py", "isal", "zarr"):
        from scdataset.conversion import convert  # noqa: PLC0415 its packages are optional
    try:
        converted = convert(sources, out, **{**given, **opening(arguments)})
    except KeyboardInterrupt:
        sys.stderr.write("scdataset: what was written is kept; run the same command again to go on\n")
        raise
    if arguments.json:
        show_json(asdict(converted))
    else:
        show(_blocks(converted, verified=arguments.verify))
    return 0


def _blocks(converted: "Conversion", *, verified: bool) -> Iterator[Block]:
    n_obs, n_vars = converted.shape
    each = converted.n_bytes / n_obs
    yield Fields(
        (
            ("store", converted.path),
            ("cells", f"{counted(n_obs, 'cell')} x {counted(n_vars, 'gene')}"),
            ("values", converted.dtype),
            ("on disk", f"{bytes_text(converted.n_bytes)}, {counted(round(each), 'byte')} a cell"),
        )
    )
    if converted.left_out:
        yield Heading("Left out of the store")
        yield from (Text(part, "note") for part in converted.left_out)
    if verified:
        yield Text("Every value equals that of the source.", "good")
