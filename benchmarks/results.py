"""Results in a file: the machine, the settings, and every repetition of every measurement."""

import json
import os
import platform
import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "readers"))
from clock import versions

from scdataset import __version__


def add_options(parser: ArgumentParser) -> None:
    """Add the options that say where data are and where results go."""
    add_folder(parser)
    parser.add_argument("--output", type=Path, help="the file of the results; results/NAME-DATE.json with the data")


def add_folder(parser: ArgumentParser) -> None:
    """Add the option that says where data are."""
    folder = Path.home() / ".cache" / "scdataset" / "benchmarks"
    parser.add_argument("--data", type=Path, default=folder, help="folder of the data; 12 GB for all stores")


class Results:
    """The results of one run, written again after every measurement, so that one cut short leaves what it has.

    Parameters
    ----------
    name
        Of the benchmark.
    options
        What was asked for: the settings, the folder of the data and the file for the results.
    """

    def __init__(self, name: str, options: Namespace) -> None:
        now = datetime.now(UTC)
        self.path: Path = options.output or options.data / "results" / f"{name}-{now:%Y-%m-%d-%H%M%S}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
        self.measurements: list[dict[str, Any]] = []
        self._head = {
            "benchmark": name,
            "date": now.isoformat("T", "seconds"),
            "machine": machine(),
            "settings": settings,
        }
        self._notes: list[str] = []

    def add(self, table: str, row: str, column: str, **measured: Any) -> None:
        """Keep a measurement: ``rates`` of all rounds, in rows a second, and whatever else was measured."""
        self.measurements.append({"table": table, "row": row, "column": column, **measured})
        self._write()

    def note(self, text: str) -> None:
        """Keep a remark, and print it."""
        print(text, flush=True)  # noqa: T201
        self._notes.append(text)
        self._write()

    def _write(self) -> None:
        content = {**self._head, "notes": self._notes, "measurements": self.measurements}
        self.path.write_text(json.dumps(content, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Describe this machine and the versions here."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_before": os.getloadavg()[0],
        "versions": {**versions(), "scdataset": __version__},
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
