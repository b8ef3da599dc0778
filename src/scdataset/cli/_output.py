"""Results of commands: rich in a terminal, plain in a pipe or without rich, or JSON."""

import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

__all__ = ["Bar", "Block", "Fields", "Heading", "Table", "Text", "show", "show_json"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A title."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, preceded by ``mark``, one of ``""``, ``"good"``, ``"bad"`` and ``"note"``."""

    text: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """Names and values, one a line."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; columns whose number is in ``right`` are aligned to the right."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Bar:
    """A share of a whole, drawn as a bar."""

    share: float
    text: str


Block = Heading | Text | Fields | Table | Bar

_WIDEST = 10_000
"""Characters of a line that no table has."""

_NARROWEST, _MARGIN = 10, 2
"""Characters that a column of text is folded to at least, and beside columns."""

_BAR = 40
"""Characters of a bar."""

_PLAIN_MARKS = {"": "", "good": "", "bad": "! ", "note": "- "}
_RICH_MARKS = {
    "": ("", ""),
    "good": ("✓ ", "green"),
    "bad": ("✗ ", "red"),
    "note": ("• ", "yellow"),
}


def show(blocks: Iterable[Block]) -> None:
    """Write blocks to stdout: in colour and fitted to a terminal, and as plain unbroken lines elsewhere."""
    if _is_rich():
        _show_rich(blocks)
        return
    for block in blocks:
        sys.stdout.writelines(line + "\n" for line in _plain(block))


def show_json(value: Any) -> None:
    """Write a value to stdout as JSON: dataclasses as dicts are, numbers of numpy as numbers, NaN as null."""
    json.dump(_jsonable(value), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def _is_rich() -> bool:
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return terminal and importlib.util.find_spec("rich") is not None


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(one) for one in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return _jsonable(value.tolist())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def _plain(block: Block) -> list[str]:
    match block:
        case Heading(text):
            return ["", text]
        case Text(text, mark):
            return [_PLAIN_MARKS[mark] + text]
        case Fields(rows):
            width = max((len(name) for name, _ in rows), default=0)
            return [f"  {name.ljust(width)}  {value}".rstrip() for name, value in rows]
        case Table(headings, rows, right):
            return _aligned([headings, *rows], right)
        case Bar(share, text):
            return [f"  [{('#' * round(_BAR * min(share, 1.0))).ljust(_BAR, '.')}] {text}"]


def _aligned(rows: Sequence[tuple[str, ...]], right: frozenset[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(_padded(row, widths, right)).rstrip() for row in rows]


def _padded(row: tuple[str, ...], widths: Sequence[int], right: frozenset[int]) -> list[str]:
    return [
        text.rjust(width) if number in right else text.ljust(width)
        for number, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def _show_rich(blocks: Iterable[Block]) -> None:
    from rich.console import Console  # noqa: PLC0415 an optional package
    from rich.measure import Measurement  # noqa: PLC0415

    console = Console(highlight=False)
    for block in blocks:
        drawn = _rich(block)
        if (
            isinstance(block, Table) and _least_width(block) > console.width
        ):  # else columns would lose figures, or vanish
            size = Measurement.get(console, console.options.update(max_width=_WIDEST), drawn)
            Console(highlight=False, width=size.maximum).print(drawn)
        else:
            console.print(drawn)


def _least_width(table: Table) -> int:
    """Return the characters of a line that a table needs: all names and figures, and some of text, which is folded."""
    widths = [max(map(len, column)) for column in zip(table.headings, *table.rows, strict=True)]
    kept = [
        width if number == 0 or number in table.right else min(width, _NARROWEST) for number, width in enumerate(widths)
    ]
    return _MARGIN + sum(kept) + _MARGIN * len(kept)


def _rich(block: Block) -> Any:
    """Return a block as an object of rich."""
    from rich import table  # noqa: PLC0415 an optional package
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text as RichText  # noqa: PLC0415

    match block:
        case Heading(text):
            return Padding(RichText(text, "bold cyan"), (1, 0, 0, 0))
        case Text(text, mark):
            grid, (sign, style) = table.Table.grid(), _RICH_MARKS[mark]
            grid.add_row(RichText(sign, style), RichText(text))
            return Padding(grid, (0, 0, 0, 2 if sign else 0))
        case Fields(rows):
            grid = table.Table.grid(padding=(0, 2))
            for name, value in rows:
                grid.add_row(RichText(name, "dim"), RichText(value))
            return Padding(grid, (0, 0, 0, 2))
        case Table(headings, rows, right):
            made = table.Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
            for number, heading in enumerate(headings):
                side: Literal["right", "left"] = "right" if number in right else "left"
                made.add_column(heading, justify=side, overflow="fold", no_wrap=number == 0 or number in right)
            for row in rows:
                made.add_row(*map(RichText, row))
            return Padding(made, (0, 0, 0, 2))
        case Bar(share, text):
            filled = round(_BAR * min(share, 1.0))
            return RichText.assemble("  ", ("━" * filled, "green"), ("━" * (_BAR - filled), "bright_black"), f" {text}")
