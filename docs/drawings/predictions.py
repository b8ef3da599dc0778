"""The table of predicted against measured, from the results of ``benchmarks/predictions.py``.

python docs/drawings/predictions.py
"""

import json
from pathlib import Path
from typing import Any

from svg import write_all

FOLDER = Path(__file__).parents[1] / "performance"
RESULTS = FOLDER / "predictions.json"

HEAD = """\
| store | blocks, windows | chunks a window | read amplification | entropy, bits | by | peak, MB |
|---|---|---|---|---|---|---|"""


def table(results: dict[str, Any]) -> str:
    """Return the table, in Markdown: predicted / measured."""
    lines = [HEAD]
    for each in results["measurements"]:
        pairs = [
            "{:,.0f} / {:,.0f}".format(*each["chunks"]),
            f"{each['amplification']:.2f}",
            "{:.3f} / {:.3f}".format(*each["entropy"]),
            each["method"],
            "{:,.0f} / {:,.0f}".format(*(size / 1e6 for size in each["memory"])),
        ]
        store, _, block = each["row"].partition(", block ")
        lines.append(f"| {store} | {block}, {each['column']} | {' | '.join(pairs)} |")
    return "\n".join([*lines, "", *results["notes"], ""])


def drawn() -> dict[str, str]:
    """Return the content of the file that is made of the results."""
    return {"predictions.md": table(json.loads(RESULTS.read_text()))}


if __name__ == "__main__":
    write_all(drawn(), FOLDER)
