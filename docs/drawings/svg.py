"""A few shapes of SVG: enough for the drawings of the documentation."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

INK, GREY, PALE = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2")
"""Colours that stay apart for colour-blind readers."""

_STYLE = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"


def text(
    x: float, y: float, words: str, *, size: int = 16, colour: str = INK, anchor: str = "start", weight: int = 400
) -> str:
    """Return words, with their baseline at ``y``."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def code(x: float, y: float, words: str, *, size: int = 14, colour: str = INK) -> str:
    """Return words of a program."""
    family = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" style="{family}">{escape(words)}</text>'


def box(
    x: float, y: float, width: float, height: float, *, fill: str = "none", stroke: str = "none", dashed: bool = False
) -> str:
    """Return a rectangle with round corners."""
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="1.5"{dashes}/>'
    )


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return an arrow."""
    return (
        f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{GREY}" stroke-width="1.5" '
        'marker-end="url(#head)"/>'
    )


def drawing(width: int, height: int, title: str, shapes: Iterable[str]) -> str:
    """Return a drawing on a white ground, which dark pages need."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{GREY}"/></marker></defs>'
    )
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" style="{_STYLE}">'
    ground = f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>'
    return "\n".join([opening, f"<title>{escape(title)}</title>", head, ground, *shapes, "</svg>\n"])


def write_all(drawings: dict[str, str], folder: Path) -> None:
    """Write drawings by their names."""
    for name, content in drawings.items():
        (folder / name).write_text(content)
        print(folder / name)
