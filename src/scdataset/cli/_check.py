"""``scdataset check``: read files whole and report every fault."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scdataset._packages import needing
from scdataset._tables import bytes_text, counted
from scdataset.cli._arguments import Commands, add_command, add_json
from scdataset.cli._opening import add_file_options, opening
from scdataset.cli._output import Block, Heading, Text, show, show_json

if TYPE_CHECKING:
    from scdataset.insight.findings import Report

__all__ = ["add"]

_FAULTS = 1
"""Exit code where there are faults."""


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    check = add_command(
        commands,
        "check",
        summary="read files whole and report every fault with its place",
        description=(
            "Read files of cells whole, verify their structure, and report every fault with its place: damaged and "
            "missing chunks, row pointers, column numbers, lengths, NaN. The exit code is 1 if there are faults."
        ),
        examples=("scdataset check heart.h5ad", "scdataset check plates/ && python train.py"),
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="a file, a zarr store, a folder or a pattern of them")
    add_json(check)
    add_file_options(check.add_argument_group("opening, of files whose format takes it"))
    check.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    with needing("scdataset check", "anndata", "h5py", "isal"):
        from scdataset.insight.checking import check  # noqa: PLC0415 its packages are optional
    report = check(arguments.files, **opening(arguments))
    if arguments.json:
        show_json(report.as_dict())
    else:
        show(_blocks(report))
    return 0 if report.ok else _FAULTS


def _blocks(report: "Report") -> Iterator[Block]:
    for file in report.files:
        faults = [fault for fault in report.faults if fault.file == file]
        notes = [note for note in report.notes if note.file == file]
        if faults or notes or len(report.files) == 1:
            yield Heading(file)
        for fault in faults:
            yield Text(f"{fault.place}: {fault.message}", "bad")
        for note in notes:
            yield Text(f"{note.place}: {note.message}", "note")
    n_files = counted(len(report.files), "file")
    size = f"{n_files}, {bytes_text(report.n_bytes)} of values"
    yield Text("")
    if report.ok:
        yield Text(f"No fault in {size}.", "good")
    else:
        yield Text(f"{counted(len(report.faults), 'fault')} in {size}.", "bad")
