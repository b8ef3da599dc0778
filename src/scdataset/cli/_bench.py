"""``scdataset bench``: rows a second of a file on this disk, against the limit of the machine."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scdataset._packages import needing
from scdataset._tables import bytes_text, counted
from scdataset.cli._arguments import Commands, add_command, add_json, add_sizes, seconds
from scdataset.cli._opening import add_opening, opening
from scdataset.cli._output import Bar, Block, Fields, Heading, Text, show, show_json

if TYPE_CHECKING:
    from scdataset.insight.benching import BenchResult

__all__ = ["add"]

_CACHED_BYTES = 10_000_000
"""Bytes from the disk up to which a file was in memory, as far as its speed goes."""


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    bench = add_command(
        commands,
        "bench",
        summary="measure rows a second of a file on this disk, against the limit of the machine",
        description=(
            "Read shuffled blocks of a file for a few seconds, in turns with the limit of this machine: the same "
            "threads that read as many rows' bytes into one reused buffer, and decode them where they are encoded."
        ),
        examples=("scdataset bench heart.h5ad", "scdataset bench heart.h5ad --block-size 64 --seconds 10"),
    )
    bench.add_argument("file", metavar="FILE", help="a file, a zarr store, a folder or a pattern of them")
    add_sizes(bench)
    bench.add_argument("--seconds", type=seconds, default=4.0, metavar="S", help="time to measure (default: 4)")
    add_opening(bench.add_argument_group("opening"))
    add_json(bench)
    bench.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    with needing("scdataset bench", "anndata", "h5py", "isal"):
        from scdataset.insight.benching import bench  # noqa: PLC0415 its packages are optional
    result = bench(
        arguments.file,
        batch_size=arguments.batch_size,
        block_size=arguments.block_size,
        fetch_factor=arguments.fetch_factor,
        seconds=arguments.seconds,
        **opening(arguments),
    )
    if arguments.json:
        show_json(result.as_dict())
    else:
        show(_blocks(arguments.file, result))
    return 0


def _blocks(path: str, result: "BenchResult") -> Iterator[Block]:
    yield Heading(Path(path).name or path)
    rate = f"{counted(result.rows_per_second, 'row')} a second"
    if result.share is not None:
        yield Bar(result.share, f"{100 * result.share:.0f}% of the limit")
    yield Fields(tuple(_fields(rate, result)))
    if result.n_rows < 2 * result.batch_size * result.fetch_factor:
        yield Text("Few rows were timed; a larger --seconds gives a steadier figure.", "note")


def _fields(rate: str, result: "BenchResult") -> Iterator[tuple[str, str]]:
    speed = "" if result.bytes_per_second is None else f", {bytes_text(result.bytes_per_second)} a second"
    yield "loader", rate + speed
    does = "reading and decoding" if result.decodes else "reading"
    if result.limit is None:
        yield "limit", "not known for this kind of storage"
    else:
        yield "limit", f"{counted(result.limit, 'row')} a second, {does} alone"
    if result.from_disk is not None:
        cached = result.from_disk < _CACHED_BYTES
        yield "source", "memory that caches the file" if cached else f"{bytes_text(result.from_disk)} from the disk"
    window = f"{counted(result.fetch_factor, 'batch')} a window, {counted(result.threads, 'thread')}"
    yield "settings", f"batches of {result.batch_size}, blocks of {result.block_size}, {window}"
    yield "timed", f"{counted(result.n_rows, 'row')} in {result.seconds:.2g} s"
