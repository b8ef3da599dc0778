"""Options of commands for opening files: those of `open_collection`, under the same names."""

import argparse
import json
from pathlib import Path
from typing import Any

from scdataset._paths import existing
from scdataset.cli._arguments import ArgumentGroup  # noqa: TC001 as in the other modules
from scdataset.errors import ArgumentValueError

__all__ = ["add_file_options", "add_opening", "add_storage_options", "opening"]

_JOINS = ("exact", "inner", "outer")

_OF_FILES = ("genome", "feature_types", "gene_table", "gene_lists", "unknown_genes")
_NAMES = ("layer", "modality", "join", "gene_key", "genes", "missing_obs", *_OF_FILES)


def add_storage_options(parser: "argparse.ArgumentParser | ArgumentGroup") -> None:
    """Add the option that says how object stores are reached, to a parser or a group."""
    parser.add_argument(
        "--storage-option",
        action="append",
        type=_setting,
        metavar="NAME=VALUE",
        help="of URLs: a setting of the store, such as anonymous=true or region=us-east-1; may be given again",
    )


def add_file_options(parser: "argparse.ArgumentParser | ArgumentGroup") -> None:
    """Add options that say how to read files of some formats, to a parser or a group."""
    parser.add_argument("--genome", metavar="NAME", help="of 10x files: the genome whose genes to take")
    parser.add_argument(
        "--feature-types", nargs="+", metavar="TYPE", help="of 10x files: such as 'Gene Expression' (default: all)"
    )
    parser.add_argument(
        "--gene-table",
        type=_table,
        metavar="TABLE",
        help="of Arrow and Parquet: a Parquet or csv file of genes and their ids, or the number of genes",
    )
    parser.add_argument(
        "--gene-lists",
        nargs=2,
        metavar=("IDS", "VALUES"),
        help="of Arrow and Parquet: the columns of ids and of values (default: genes expressions)",
    )
    parser.add_argument(
        "--unknown-genes", choices=["drop"], help="of Arrow and Parquet: leave out ids that the table lacks"
    )
    add_storage_options(parser)


def add_opening(parser: "argparse.ArgumentParser | ArgumentGroup") -> None:
    """Add all options of `open_collection` that say which rows and values there are, to a parser or a group."""
    parser.add_argument("--layer", metavar="NAME", help="the matrix to read: a layer, or raw (default: X)")
    parser.add_argument("--modality", metavar="NAME", help="of MuData: the modality to read")
    parser.add_argument("--join", choices=_JOINS, help="genes of several files (default: exact)")
    parser.add_argument("--gene-key", metavar="COLUMN", help="column of var by which genes are matched")
    parser.add_argument("--genes", type=Path, metavar="FILE", help="a text file with the genes to take, one a line")
    parser.add_argument("--missing-obs", choices=["fill"], help="missing values where a file lacks a column of obs")
    add_file_options(parser)


def opening(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, as `open_collection` takes them.

    Raises
    ------
    ArgumentValueError
        If a file of genes is missing, no text, or has none.
    """
    options = {name: value for name in _NAMES if (value := getattr(arguments, name, None)) is not None}
    if getattr(arguments, "storage_option", None):
        options["storage_options"] = dict(arguments.storage_option)
    return options | ({"genes": _genes(options["genes"])} if "genes" in options else {})


def _setting(text: str) -> tuple[str, object]:
    """Return the name and the value of a setting: a text, a flag, or a dict as JSON."""
    name, given, value = text.partition("=")
    if not name or not given:
        message = f"{text!r} has no name or no value; give NAME=VALUE"
        raise argparse.ArgumentTypeError(message)
    if value in ("true", "false") or value.startswith("{"):
        try:
            return name, json.loads(value)
        except ValueError as error:
            message = f"{text!r} is no JSON: {error}"
            raise argparse.ArgumentTypeError(message) from error
    return name, value


def _table(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def _genes(path: Path) -> list[str]:
    try:
        lines = Path(existing("--genes", path)).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        message = f"--genes {path} is no text; give a text file with a gene a line."
        raise ArgumentValueError(message) from error
    genes = [line.strip() for line in lines if line.strip()]
    if not genes:
        message = f"--genes {path} has no genes; give a text file with a gene a line."
        raise ArgumentValueError(message)
    return genes
