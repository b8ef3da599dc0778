"""Figures as text, and short tables of names and values, for terminals and for notebooks."""

from collections.abc import Sequence
from html import escape

__all__ = ["bytes_text", "counted", "html_table", "size", "text_table", "verb"]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

_DECIMAL_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")

Rows = Sequence[tuple[str, str]]
"""Names and values; a row without a name goes on with the one before, and one without a value begins a section."""


def size(n_bytes: float) -> str:
    """Return a number of bytes of memory with three digits, in powers of 1024.

    Examples
    --------
    >>> size(900), size(123_456_789)
    ('900 B', '118 MiB')
    """
    unit = 0
    while n_bytes >= 1000 and unit + 1 < len(_UNITS):
        n_bytes, unit = n_bytes / 1024, unit + 1
    digits = 0 if unit == 0 or n_bytes >= 100 else 1 if n_bytes >= 10 else 2
    return f"{n_bytes:.{digits}f} {_UNITS[unit]}"


def bytes_text(n_bytes: float) -> str:
    """Return a number of bytes on a disk with three digits, in powers of 1000.

    Examples
    --------
    >>> bytes_text(900), bytes_text(123_456_789)
    ('900 bytes', '123 MB')
    """
    unit = 0
    while n_bytes >= 1000 and unit + 1 < len(_DECIMAL_UNITS):
        n_bytes, unit = n_bytes / 1000, unit + 1
    return f"{n_bytes:.3g} {_DECIMAL_UNITS[unit]}"


def counted(n: float, noun: str) -> str:
    """Return a number of things, to the nearest whole one, the noun in the singular for one.

    Examples
    --------
    >>> counted(1, "gene"), counted(2_000, "gene"), counted(3, "batch"), counted(2, "empty entry")
    ('1 gene', '2,000 genes', '3 batches', '2 empty entries')
    """
    shown = f"{n:,.0f}" if isinstance(n, float) else f"{n:,}"
    return f"{shown} {noun if shown == '1' else _plural(noun)}"


def verb(n: int, plural: str) -> str:
    """Return a verb in the form that goes with ``n`` things.

    Examples
    --------
    >>> verb(1, "are"), verb(2, "are"), verb(1, "have")
    ('is', 'are', 'has')
    """
    return _SINGULAR[plural] if n == 1 else plural


_SINGULAR = {"are": "is", "differ": "differs", "do": "does", "have": "has", "vary": "varies", "were": "was"}


def _plural(noun: str) -> str:
    if noun.endswith("y") and not noun.endswith(("ay", "ey", "oy")):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("ch", "s", "x")) else f"{noun}s"


def text_table(title: str, rows: Rows) -> str:
    """Return a table for a terminal.

    Examples
    --------
    >>> print(text_table("Cells", [("rows", "10"), ("genes", "2,000")]))
    Cells
      rows   10
      genes  2,000
    """
    width = max((len(name) for name, value in rows if value), default=0)
    lines = [f"  {name:{width}}  {value}" if value else f" {name}" for name, value in rows]
    return "\n".join([title, *lines])


def html_table(title: str, rows: Rows) -> str:
    """Return a table for a notebook, in which text is escaped."""
    cells = [
        f'<tr><td style="text-align:left">{escape(name)}</td><td style="text-align:left">{escape(value)}</td></tr>'
        if value
        else f'<tr><th colspan="2" style="text-align:left">{escape(name)}</th></tr>'
        for name, value in rows
    ]
    caption = f'<caption style="text-align:left"><b>{escape(title)}</b></caption>'
    return f"<table>{caption}<tbody>{''.join(cells)}</tbody></table>"
