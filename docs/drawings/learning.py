"""The chart of what a classifier learns by block size, from the results of ``benchmarks/learning_curve.py``.

python docs/drawings/learning.py
"""

import json
import math
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from svg import COLOURS, GREY, PALE, drawing, text, write_all

FOLDER = Path(__file__).parents[1] / "performance"
RESULTS = FOLDER / "learning-curve.json"

LEFT, TOP, WIDTH, HEIGHT = 64, 62, 420, 220
"""Pixels: where the axes are, and how long."""


def chart(results: dict[str, Any]) -> str:
    """Draw accuracy against D, with the order of the file as a line."""
    measured = results["measurements"]
    points = [(each["d"], each["row"], each["values"]) for each in measured if each["d"] is not None]
    streamed = next(each["values"] for each in measured if each["d"] is None)
    decades = math.log10(max(d for d, *_ in points))

    def x(d: float) -> float:
        return LEFT + 16 + (WIDTH - 32) * math.log10(d) / decades

    def y(accuracy: float) -> float:
        return TOP + HEIGHT * (1 - accuracy)

    def shapes() -> Iterator[str]:
        yield text(20, 32, "Accuracy after one epoch, by block size", weight=600, size=18)
        for tick in (0, 0.25, 0.5, 0.75, 1):
            yield _line(LEFT, y(tick), LEFT + WIDTH, y(tick), PALE)
            yield text(LEFT - 8, y(tick) + 5, f"{tick:.0%}", size=14, colour=GREY, anchor="end")
        low = statistics.median(streamed)
        yield _line(LEFT, y(low), LEFT + WIDTH, y(low), COLOURS[1], dashed=True)
        yield text(LEFT + 8, y(low) - 8, f"order of the file: {low:.0%}", size=14, colour=COLOURS[1])
        for (d, _, values), (next_d, _, next_values) in pairwise(points):
            yield _line(x(d), y(statistics.median(values)), x(next_d), y(statistics.median(next_values)), COLOURS[0])
        for number, (d, block, values) in enumerate(points):
            for value in values:
                yield f'<circle cx="{x(d):.1f}" cy="{y(value):.1f}" r="4" fill="{COLOURS[0]}"/>'
            above = number % 2 == 0
            yield text(x(d), y(max(values)) - 10 if above else y(min(values)) + 20, block, size=14, anchor="middle")
        for d in (1, 2, 5, 20, 65):
            yield text(x(d), TOP + HEIGHT + 20, f"{d}", size=14, colour=GREY, anchor="middle")
        yield text(LEFT + WIDTH / 2, TOP + HEIGHT + 40, "D = 1 + (b - 1) / f", size=14, colour=GREY, anchor="middle")
        yield text(20, TOP + HEIGHT + 66, _of(results["settings"]), size=14, colour=GREY)

    return drawing(520, TOP + HEIGHT + 82, "Accuracy after one epoch against D", shapes())


def _of(settings: dict[str, Any]) -> str:
    cells, factor, seeds = settings["cells"], settings["fetch_factor"], settings["seeds"]
    return f"Numbers are block sizes. {cells:,} simulated cells, f = {factor}, {seeds} seeds."


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}" stroke-width="2"{dashes}/>'
    )


def drawn() -> dict[str, str]:
    """Return the content of the files that are made of the results."""
    return {"learning-curve.svg": chart(json.loads(RESULTS.read_text()))}


if __name__ == "__main__":
    write_all(drawn(), FOLDER)
