"""``scdataset info``: describe files of cells."""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scdataset._packages import needing
from scdataset._tables import bytes_text, counted
from scdataset.cli._arguments import Commands, add_command, add_json
from scdataset.cli._opening import add_storage_options, opening
from scdataset.cli._output import Block, Fields, Heading, Line, Table, Text, show, show_json

if TYPE_CHECKING:
    from scdataset.insight.advice import Advice
    from scdataset.insight.description import CellsDescription, ColumnDescription, FileDescription
    from scdataset.insight.storage import StoredMatrix

__all__ = ["add"]

_WIDEST = 40
"""Characters of examples."""


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    info = add_command(
        commands,
        "info",
        summary="describe files: cells, genes, how they are stored, obs, and what would make them slow",
        description=(
            "Describe files of cells in any format that open_collection takes. A few hundred rows are read, however "
            "large a file is."
        ),
        examples=("scdataset info heart.h5ad", "scdataset info 'plates/*.h5ad'", "scdataset info --json a.zarr"),
    )
    info.add_argument("files", nargs="+", metavar="FILE", help="a file, a zarr store, a folder or a pattern of them")
    add_json(info)
    add_storage_options(info)
    info.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    with needing("scdataset info", "anndata", "h5py", "isal"):
        from scdataset.insight.description import describe  # noqa: PLC0415 its packages are optional
    files = describe(arguments.files, **opening(arguments))
    if arguments.json:
        show_json([file.as_dict() for file in files])
    else:
        show(_of_one(files[0]) if len(files) == 1 else _of_many(files))
    return 0


def _of_one(file: "FileDescription") -> Iterator[Block]:
    yield Heading(file.path)
    yield Fields((("format", file.format), ("on disk", bytes_text(file.n_bytes)), *_whole(file.cells)))
    for cells in file.cells:
        if cells.modality is not None:
            yield Heading(f"{cells.modality}: {_shape(cells)}")
        yield from _of_cells(cells)
    yield from _advice(file.advice)


def _whole(cells: "Sequence[CellsDescription]") -> tuple[tuple[str, str], ...]:
    return (("cells", _shape(cells[0])),) if len(cells) == 1 and cells[0].modality is None else ()


def _shape(cells: "CellsDescription") -> str:
    genes = counted(cells.n_vars, "gene") if cells.n_vars else "genes unknown"
    return f"{counted(cells.n_obs, 'cell')} x {genes}"


def _of_cells(cells: "CellsDescription") -> Iterator[Block]:
    if cells.matrices:
        yield Heading("matrices")
        headings = ("name", "values", "stored as", "chunks", "codecs", "on disk", "non-zeros a cell")
        yield Table(headings, tuple(_matrix(one, cells) for one in cells.matrices), frozenset({5, 6}))
    if cells.obsm:
        yield Heading("obsm")
        yield Table(
            ("name", "columns", "type"),
            tuple((one.name[6:-2], str(one.shape[-1]), one.dtype) for one in cells.obsm),
            frozenset({1}),
        )
    if cells.columns:
        yield Heading(f"obs: {counted(len(cells.columns), 'column')}")
        of_obs = ("name", "kind", "categories", "missing", "examples")
        yield Table(of_obs, tuple(map(_column, cells.columns)), frozenset({2, 3}), examples=True)


def _matrix(one: "StoredMatrix", cells: "CellsDescription") -> tuple[str, ...]:
    density = cells.density.get(one.name)
    nonzero = one.stored_a_row if one.is_sparse else None if density is None else density * one.shape[1]
    return (
        one.name,
        cells.kind_of(one.name) or "",
        f"{one.storage} {one.dtype}",
        "one piece" if one.chunk is None else " x ".join(f"{size:,}" for size in one.chunk),
        ", ".join(one.codecs) or "none",
        "" if one.n_bytes is None else bytes_text(one.n_bytes),
        "" if nonzero is None else f"{nonzero:,.0f}" if nonzero >= 10 else f"{nonzero:.2g}",
    )


def _column(column: "ColumnDescription") -> tuple[str, ...]:
    between = " to " if column.kind == "numbers" else ", "
    categories = "" if column.n_categories is None else f"{column.n_categories:,}"
    missing = f"{column.n_missing:,}" if column.n_missing else ""
    return column.name, column.kind, categories, missing, _shortened(between.join(column.examples))


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _advice(advice: "Sequence[Advice]") -> Iterator[Block]:
    yield Heading("advice")
    if not advice:
        yield Text("Nothing here makes it slow.", "good")
    for one in advice:
        yield Text(str(one), "note")


def _of_many(files: "Sequence[FileDescription]") -> Iterator[Block]:
    yield Heading(f"{counted(len(files), 'file')}, {bytes_text(sum(file.n_bytes for file in files))}")
    headings = ("file", "format", "cells", "genes", "values", "stored as", "codecs", "on disk")
    rows = tuple(_line(file, cells) for file in files for cells in file.cells)
    yield Table(headings, rows, frozenset({2, 3, 7}))
    total = sum(cells.n_obs for file in files for cells in file.cells[:1])
    yield Text(f"{counted(total, 'cell')} in all. For one of them in full:")
    yield Line(f"scdataset info {shlex.quote(files[0].path)}")
    grouped: dict[Advice, list[str]] = {}
    for file in files:
        for one in file.advice:
            grouped.setdefault(one, []).append(file.path.rpartition("/")[2])
    yield from _advice_of_many(grouped, len(files))


def _advice_of_many(grouped: "dict[Advice, list[str]]", n_files: int) -> Iterator[Block]:
    yield Heading("advice")
    if not grouped:
        yield Text("Nothing here makes them slow.", "good")
    for one, names in grouped.items():
        where = (
            "all files" if len(names) == n_files else names[0] + (f" and {len(names) - 1} more" if names[1:] else "")
        )
        yield Text(f"{where}: {one}", "note")


def _line(file: "FileDescription", cells: "CellsDescription") -> tuple[str, ...]:
    name = file.path.rpartition("/")[2] + (f": {cells.modality}" if cells.modality else "")
    matrix = cells.matrices[0] if cells.matrices else None
    return (
        name,
        file.format,
        f"{cells.n_obs:,}",
        f"{cells.n_vars:,}" if cells.n_vars else "",
        (cells.kind_of(matrix.name) or "") if matrix else "",
        f"{matrix.storage} {matrix.dtype}" if matrix else "",
        ", ".join(matrix.codecs) or "none" if matrix else "",
        bytes_text(file.n_bytes),
    )
