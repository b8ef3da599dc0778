"""Every kind of collection, strategy and batch size beside scDataset 0.3.0: rows a second in turns, and the ratio.

    python benchmarks/matrix.py [--collections numpy csr] [--strategies Streaming] [--batches 4 64]

Both packages read in processes that stay, each in an environment of its own, for a fraction of a second at a time and
in turns. Rates are those of epochs: the time to the first batch, and the time of a batch since then for all others.
With the default fetch_factor of 16. Cells and other files are made beside the data on first use.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import results
from peer_environments import READERS, Environments

sys.path.append(str(READERS))
from read_matrix import COLLECTIONS, STRATEGIES, make

HERE, THERE = "here", "scDataset 0.3.0"


class Reader:
    """A process that measures in some environment."""

    def __init__(self, python: Path, folder: Path) -> None:
        options = [] if str(python) == sys.executable else ["-E"]  # it has a package of the same name
        command = [str(python), *options, str(READERS / "read_matrix.py"), str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, **asked: Any) -> dict[str, Any]:
        """Measure one loop."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def compare(readers: dict[str, Reader], rounds: int, **asked: Any) -> dict[str, list[float]] | str:
    """Return the rates of all rounds by reader, or the error of one."""
    rates: dict[str, list[float]] = {name: [] for name in readers}
    for round_ in range(rounds + 1):
        for name, reader in readers.items():
            measured = reader.measure(**asked)
            if "error" in measured:
                return f"{name}: {measured['error']}"
            if round_:  # the first fills caches
                rates[name].append(measured["rows"] / measured["seconds"])
    return rates


def main() -> None:
    """Measure all combinations and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--collections", nargs="+", default=list(COLLECTIONS), choices=list(COLLECTIONS))
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    parser.add_argument("--batches", nargs="+", type=int, default=[4, 64, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="for which each loop is read")
    parser.add_argument("--peer", type=Path, help="a Python that has scDataset 0.3.0; one is set up if not given")
    options = parser.parse_args()
    kept = results.Results("matrix", options)
    folder = options.data / "matrix"
    if not (folder / "cells.h5ad").exists():
        make(folder)
    peer = options.peer or Environments(options.data).python("scdataset")
    readers = {HERE: Reader(Path(sys.executable), folder), THERE: Reader(peer, folder)}
    for collection in options.collections:
        for strategy in options.strategies:
            for batch_size in options.batches:
                asked = {"name": collection, "strategy": strategy, "batch_size": batch_size, "seconds": options.seconds}
                report(kept, asked, compare(readers, options.rounds, **asked))
    for reader in readers.values():
        reader.close()
    print(f"\n{kept.path}")  # noqa: T201


def report(kept: results.Results, asked: dict[str, Any], rates: dict[str, list[float]] | str) -> None:
    """Keep and print what was measured of one combination."""
    row = f"{asked['strategy']}, {asked['batch_size']}"
    if isinstance(rates, str):
        kept.note(f"{asked['name']}, {row}: {rates}")
        return
    for name, measured in rates.items():
        ratio = {"ratio": (HERE, THERE)} if name == HERE else {}
        kept.add(f"{asked['name']}, rows/s", row, name, rates=measured, **ratio)
    ratio = statistics.median(here / there for here, there in zip(rates[HERE], rates[THERE], strict=True))
    slower = "  SLOWER" if ratio < 1 else ""
    print(f"{asked['name']:28} {row:34} {statistics.median(rates[HERE]):12,.0f} {ratio:6.2f}{slower}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
