"""Tables of results, in Markdown: from the files that the benchmarks write, so that no figure is copied by hand.

    python benchmarks/table.py FILE... [--ratios]

Several files of one benchmark, each a part of it, make one table. A cell is the median of the rounds in rows a second,
and in brackets the median over rounds of the ratio that its column's heading names. ``--ratios`` leaves only ratios,
with rows and columns exchanged, as the documentation quotes them.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Measurement = dict[str, Any]


def tables(measurements: Sequence[Measurement], *, ratios: bool = False) -> Iterator[str]:
    """Yield the lines of all tables."""
    for name in dict.fromkeys(measured["table"] for measured in measurements):
        cells = {(m["row"], m["column"]): m for m in measurements if m["table"] == name}
        if ratios and not any("ratio" in measured for measured in cells.values()):
            continue
        yield from ("", f"**{name}**", "")
        yield from _ratio_lines(cells) if ratios else _rate_lines(cells)


def _rate_lines(cells: dict[tuple[str, str], Measurement]) -> Iterator[str]:
    rows, columns = _names(cells)
    yield _line(["", *(_heading(cells, column) for column in columns)])
    yield _line(["---"] * (len(columns) + 1))
    for row in rows:
        yield _line([row, *(_cell(cells, row, column) for column in columns)])


def _ratio_lines(cells: dict[tuple[str, str], Measurement]) -> Iterator[str]:
    rows, columns = _names(cells)
    yield _line(["", *rows])
    yield _line(["---"] * (len(rows) + 1))
    for column in columns:
        found = [(row, _ratio(cells, row, column)) for row in rows]
        if any(ratio is not None for _, ratio in found):
            yield _line(
                [" / ".join(_compared(cells, column)), *("" if ratio is None else f"{ratio:.2f}" for _, ratio in found)]
            )


def _names(cells: dict[tuple[str, str], Measurement]) -> tuple[list[str], list[str]]:
    return list(dict.fromkeys(row for row, _ in cells)), list(dict.fromkeys(column for _, column in cells))


def _cell(cells: dict[tuple[str, str], Measurement], row: str, column: str) -> str:
    measured = cells.get((row, column))
    if measured is None:
        return ""
    if "values" in measured:
        return f"{statistics.median(measured['values']):,.4g}"
    ratio = _ratio(cells, row, column)
    text = f"{statistics.median(measured['rates']):,.0f}" + ("" if ratio is None else f" ({ratio:.2f})")
    return text + (f", {max(measured['memory']):,.0f} MB" if "memory" in measured else "")


def _heading(cells: dict[tuple[str, str], Measurement], column: str) -> str:
    compared = " / ".join("it" if name == column else name for name in _compared(cells, column))
    return f"{column} ({compared})" if compared else column


def _compared(cells: dict[tuple[str, str], Measurement], column: str) -> Sequence[str]:
    """Return the two columns whose ratio a column gives, or none."""
    measured = next(measured for (_, name), measured in cells.items() if name == column)
    names: Sequence[str] = measured.get("ratio", ())
    return names


def _ratio(cells: dict[tuple[str, str], Measurement], row: str, column: str) -> float | None:
    """Return the median over rounds of the ratio that a measurement names: of one column to another of its row."""
    names = cells.get((row, column), {}).get("ratio")
    if names is None or any((row, name) not in cells for name in names):
        return None
    over, under = (cells[row, name]["rates"] for name in names)
    rounds = zip(over, under, strict=False)
    return statistics.median(upper / lower for upper, lower in rounds)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--ratios", action="store_true")
    options = parser.parse_args()
    runs = [json.loads(file.read_text()) for file in options.files]
    for run in runs:
        machine = run["machine"]
        print(f"{run['date']}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB")  # noqa: T201
        for note in run["notes"]:
            print(f"note: {note}")  # noqa: T201
    for line in tables([measured for run in runs for measured in run["measurements"]], ratios=options.ratios):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
