"""Lines of a row, a column and a value to arrays: blocks of them by pyarrow, and those that it refuses one by one.

pyarrow takes one blank between numbers. Other blanks, comments, and whatever is no entry are left to Python, which says
which line it is; so is everything where pyarrow is not installed, several times as slowly.
"""

from functools import cache
from types import ModuleType  # noqa: TC003 as in the other modules

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array, DType

__all__ = ["NoEntryError", "parse_lines"]

_BLANKS = b" \t\r"

_INT64 = np.iinfo(np.int64)


class NoEntryError(ValueError):
    """A line that is no entry; ``line`` is its text."""

    def __init__(self, line: bytes) -> None:
        super().__init__(f"{line!r} is no entry")
        self.line = line


def parse_lines(lines: bytes, dtype: DType | None) -> tuple[NDArray[np.int64], NDArray[np.int64], Array | None]:
    """Parse lines of a row and a column, from 1 on, and a value; empty lines and those that begin with % are skipped.

    Parameters
    ----------
    lines
        Whole lines, each with its end.
    dtype
        Type of the values, int64 or float64; None for lines without a value.

    Returns
    -------
    Rows and columns from 0 on, and values, each shape ``(n,)``. Numbers are rounded as Python rounds them.

    Raises
    ------
    NoEntryError
        If a line is anything else.
    """
    parsed = _parsed_together(lines, dtype)
    rows, columns, *values = _parsed_one_by_one(lines, dtype) if parsed is None else parsed
    return rows - 1, columns - 1, values[0] if values else None


def _parsed_together(lines: bytes, dtype: DType | None) -> list[Array] | None:
    """Return the columns of lines, or None if pyarrow is not there, or some lines are not for it."""
    arrow = _arrow()
    hexadecimal, line_ends = b"x" in lines or b"X" in lines, lines.count(b"\r") != lines.count(b"\r\n")
    if arrow is None or hexadecimal or line_ends or not lines.strip():  # which pyarrow reads as numbers, as lines
        return None
    types = {"row": "int64", "column": "int64"} | ({} if dtype is None else {"value": dtype.name})
    try:
        table = arrow.csv.read_csv(
            arrow.BufferReader(lines),
            arrow.csv.ReadOptions(column_names=list(types)),
            arrow.csv.ParseOptions(delimiter=" ", quote_char=False),
            arrow.csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except arrow.ArrowInvalid:
        return None
    parsed: list[Array] = [column.to_numpy() for column in table.columns]
    is_entry = all(numbers.min(initial=1) >= 1 for numbers in parsed[:2])
    return parsed if is_entry else None


@cache
def _arrow() -> "ModuleType | None":
    """Return pyarrow, or None if it is not installed."""
    try:
        import pyarrow.csv  # noqa: PLC0415 an optional package, and slow to import
    except ImportError:
        return None
    arrow: ModuleType = pyarrow
    return arrow


def _parsed_one_by_one(lines: bytes, dtype: DType | None) -> list[Array]:
    told = [line for each in lines.split(b"\n") if (line := each.strip(_BLANKS)) and not line.startswith(b"%")]
    entries = [_entry(line, dtype) for line in told]
    rows, columns, *values = zip(*entries, strict=True) if entries else ((),) * (2 if dtype is None else 3)
    return [np.array(rows, np.int64), np.array(columns, np.int64), *(np.array(each, dtype) for each in values)]


def _entry(line: bytes, dtype: DType | None) -> tuple[int | float, ...]:
    words = line.split()
    if len(words) != (2 if dtype is None else 3) or b"_" in line:  # which Python allows between digits
        raise NoEntryError(line)
    try:
        place = int(words[0]), int(words[1])
        values = [] if dtype is None else [float(words[2]) if dtype.kind == "f" else int(words[2])]
    except ValueError as error:
        raise NoEntryError(line) from error
    whole = [*place, *(values if dtype is not None and dtype.kind == "i" else ())]
    if min(place) < 1 or not all(_INT64.min <= number <= _INT64.max for number in whole):
        raise NoEntryError(line)
    return *place, *values
