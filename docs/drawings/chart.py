"""The chart and the table of throughput, from the ratios that the benchmarks measured.

python docs/drawings/chart.py
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from svg import COLOURS, GREY, box, drawing, text, write_all

FOLDER = Path(__file__).parents[1] / "performance"
RESULTS = FOLDER / "ratios.json"
SHOWN = 16
"""The block size that the chart shows."""


def chart(results: dict[str, Any]) -> str:
    """Draw how many times as fast it is in blocks of 16."""
    place = results["blocks"].index(SHOWN)
    bars = [(*_names(each), each["values"][place]) for each in results["ratios"]]
    longest = max(value for *_, value in bars)
    left, width, height, top = 20, 420, 66, 52

    def shapes() -> Iterator[str]:
        yield text(left, 32, "Cells a second, as a multiple of other loaders", weight=600, size=18)
        for number, (title, detail, value) in enumerate(bars):
            y = top + number * height
            yield text(left, y + 14, title, size=15, weight=600)
            yield text(left, y + 32, detail, size=14, colour=GREY)
            yield box(left, y + 38, width * value / longest, 16, fill=COLOURS[0])
            yield box(left, y + 38, width / longest, 16, fill=GREY)
            yield text(left + width * value / longest + 8, y + 52, f"{value:g}x", size=15, weight=600)
        y = top + height * len(bars) + 18
        yield text(left, y, "Grey: the other loader. Blocks of 16, windows of 16,384 cells,", size=14, colour=GREY)
        yield text(left, y + 18, "300,000 x 62,710 in the page cache, two cores.", size=14, colour=GREY)

    return drawing(520, top + height * len(bars) + 52, "Throughput against other loaders", shapes())


def _names(each: dict[str, Any]) -> tuple[str, str]:
    return f"{each['file']}, against {each['against'].partition(' o')[0]}", each["note"]


def table(results: dict[str, Any]) -> str:
    """Return the table of the page on performance, in Markdown."""
    blocks = results["blocks"]
    lines = [
        "| file | ours | against | " + " | ".join(f"block {size}" for size in blocks) + " |",
        "|---" * (3 + len(blocks)) + "|",
    ]
    for each in results["ratios"]:
        values = ["" if value is None else f"{value:.1f}x" for value in each["values"]]
        ours = each["ours"].replace("open_collection", "`open_collection`")
        lines.append(f"| {each['file']} | {ours} | {each['against']} | " + " | ".join(values) + " |")
    for each in results["limits"]:
        values = [f"{value:.2f}" for value in each["values"]]
        lines.append(f"| {each['file']} | `open_collection` | {each['against']} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def drawn() -> dict[str, str]:
    """Return the content of the files that are made of the results."""
    results = json.loads(RESULTS.read_text())
    return {"throughput.svg": chart(results), "ratios.md": table(results)}


if __name__ == "__main__":
    write_all(drawn(), FOLDER)
