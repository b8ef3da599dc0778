"""Results of commands: rich in a terminal, plain in a pipe or without rich, or JSON."""

import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Bar", "Block", "Fields", "Heading", "Line", "Table", "Text", "show", "show_json"]


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
class Line:
    """Code to copy, which stays on one line however wide a terminal is."""

    text: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Names and values, one a line."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; a column without text in any row is not shown.

    Columns whose number is in ``right`` are aligned to the right. Text of the last column is cut short where a terminal
    is narrow, if it is one of ``examples``.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    examples: bool = False

    def shown(self) -> "Table":
        """Return the table without columns that are empty."""
        kept = [number for number in range(len(self.headings)) if any(row[number] for row in self.rows)]
        return replace(
            self,
            headings=tuple(self.headings[number] for number in kept),
            rows=tuple(tuple(row[number] for number in kept) for row in self.rows),
            right=frozenset(map(kept.index, self.right.intersection(kept))),
        )

    def shortened(self, width: int) -> "Table":
        """Return the table with its last column cut to a number of characters."""
        rows = tuple((*row[:-1], row[-1] if len(row[-1]) <= width else row[-1][: width - 1] + "…") for row in self.rows)
        return replace(self, rows=rows)


@dataclass(frozen=True, slots=True)
class Bar:
    """A share of a whole, drawn as a bar."""

    share: float
    text: str


Block = Heading | Text | Line | Fields | Table | Bar

_WIDEST = 10_000
"""Characters of a line that no table has."""

_NARROWEST, _NARROWEST_NAMES, _MARGIN = 10, 24, 2
"""Characters that a column of text is folded to at least, and the first one, of names; and those beside columns."""

_BAR = 40
"""Characters of a bar."""

_PLAIN_MARKS = {"": "", "good": "", "bad": "! ", "note": "- "}
_RICH_MARKS = {
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


def show_json(value: object) -> None:
    """Write a value to stdout as JSON: dataclasses as dicts are, numbers of numpy as numbers, NaN as null."""
    json.dump(_jsonable(value), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def _is_rich() -> bool:
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return terminal and importlib.util.find_spec("rich") is not None


def _jsonable(value: object) -> object:
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
        case Line(text):
            return ["  " + text]
        case Fields(rows):
            width = max((len(name) for name, _ in rows), default=0)
            return [f"  {name.ljust(width)}  {value}".rstrip() for name, value in rows]
        case Table():
            table = block.shown()
            return _aligned([table.headings, *table.rows], table.right)
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

    console = Console(highlight=False)
    for block in blocks:
        if isinstance(block, Table):
            _print_table(block.shown(), console)
        else:
            console.print(_rich(block), soft_wrap=isinstance(block, Line))


def _print_table(table: Table, console: "Console") -> None:
    """Print a table, folded where it is too wide; where it would lose names or figures, in its whole width."""
    from rich.console import Console  # noqa: PLC0415 an optional package
    from rich.measure import Measurement  # noqa: PLC0415

    for fold_names in (False, True):
        room = console.width - _least_width(table, fold_names=fold_names)
        if room >= 0:
            fitted = table.shortened(_NARROWEST + room) if table.examples else table
            console.print(_rich_table(fitted, fold_names=fold_names))
            return
    drawn = _rich_table(table, fold_names=False)
    size = Measurement.get(console, console.options.update(max_width=_WIDEST), drawn)
    Console(highlight=False, width=size.maximum).print(drawn)


def _least_width(table: Table, *, fold_names: bool) -> int:
    """Return the characters of a line that a table needs: all figures, and some of text."""
    widths = [max(map(len, column)) for column in zip(table.headings, *table.rows, strict=True)]
    is_whole = [number in table.right or table.examples for number in range(len(widths))]
    kept = [width if whole else min(width, _NARROWEST) for width, whole in zip(widths, is_whole, strict=True)]
    kept[0] = min(widths[0], _NARROWEST_NAMES) if fold_names else widths[0]
    if table.examples:
        kept[-1] = _NARROWEST
    return _MARGIN + sum(kept) + _MARGIN * len(kept)


def _rich_table(table: Table, *, fold_names: bool) -> "RenderableType":
    from rich.padding import Padding  # noqa: PLC0415 an optional package
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text as RichText  # noqa: PLC0415

    made = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, heading in enumerate(table.headings):
        side: Literal["right", "left"] = "right" if number in table.right else "left"
        is_whole = number in table.right or (number == 0 and not fold_names)
        made.add_column(heading, justify=side, overflow="fold", no_wrap=is_whole)
    for row in table.rows:
        made.add_row(*map(RichText, row))
    return Padding(made, (0, 0, 0, _MARGIN), expand=False)


def _rich(block: Heading | Text | Line | Fields | Bar) -> "RenderableType":
    """Return a block as an object of rich."""
    from rich import table  # noqa: PLC0415 an optional package
    from rich.padding import Padding  # noqa: PLC0415
    from rich.text import Text as RichText  # noqa: PLC0415

    match block:
        case Heading(text):
            return RichText("\n" + text, "bold cyan")
        case Text(text, ""):
            return RichText(text)
        case Text(text, mark):
            grid, (sign, style) = table.Table.grid(), _RICH_MARKS[mark]
            grid.add_row(RichText(sign, style), RichText(text))
            return Padding(grid, (0, 0, 0, _MARGIN), expand=False)
        case Line(text):
            return RichText("  " + text)
        case Fields(rows):
            grid = table.Table.grid(padding=(0, 2))
            for name, value in rows:
                grid.add_row(RichText(name, "dim"), RichText(value))
            return Padding(grid, (0, 0, 0, _MARGIN), expand=False)
        case Bar(share, text):
            filled = round(_BAR * min(share, 1.0))
            return RichText.assemble("  ", ("━" * filled, "green"), ("━" * (_BAR - filled), "bright_black"), f" {text}")
