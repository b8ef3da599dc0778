"""Rows a second and memory beside other packages, over the same cells, each in a process of its own, in turns.

    python benchmarks/peers.py [--parts plain dense dense-1024 genes ...] [--peers scdataset cellstream annbatch]

Each peer has an environment of its own, made beside the data on first use, and its own store where it reads no h5ad.
All give CSR batches of 64 from shuffled windows of 16,384 rows in blocks, after windows that are not counted. Parts:

    plain      open_collection over plain h5ad beside all peers
    gzip       open_collection over gzip h5ad beside scDataset 0.3.0
    annbatch   open_collection over annbatch's own store beside annbatch, in chunks of 64 and 512
    dense      all genes to dense float32 tensors: ToTorch, toarray in a hook, and one unchanged script over backed
               AnnData here and with scDataset 0.3.0, in batches of 64; and the script's toarray alone, which is the
               limit of the script whatever reads
    dense-1024 the same in batches of 1,024
    genes      2,000 genes, normalised, logged and dense in batches of 1,024, beside the same genes as CSR

Memory is the peak of the whole process, pages of mapped files included.
"""

import argparse
import statistics
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import page_cache
import results
from data import CONVERTED, add_options, conversion, make_store
from peer_environments import PEERS, Environments, MissingPythonError, run_script
from table import tables


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to read.

    Attributes
    ----------
    name
        In the table.
    store, script, how
        What it reads, the script of `peer_environments.READERS`, and which of the script's ways.
    peer
        Whose environment; None for this one.
    smallest_block
        Blocks below are left out, as they would take a minute a window.
    """

    name: str
    store: str
    script: str
    how: str = ""
    peer: str | None = None
    smallest_block: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A table: the first contender is held against each of the others, over the same windows to skip and to count."""

    title: str
    contenders: tuple[Contender, ...]
    blocks: tuple[int, ...] = (1, 16, 64, 256)
    windows: tuple[int, int] = (4, 8)


OURS, SAME = "open_collection", "the same script over backed AnnData"
PEER, IN_WORKERS = "scDataset 0.3.0, backed AnnData", "scDataset 0.3.0, backed AnnData, 2 workers"
ANNBATCH, CELLSTREAM = "annbatch 0.3.1, its own store", "cellstream 0.11, its own store"
SCRIPT, LIMIT, ORIGINAL = "the same script", "its toarray alone (limit of the unchanged script)", "scDataset 0.3.0"
_READ, _READ_ANNBATCH = "read_scdataset.py", "read_annbatch.py"


def _over_h5ad(store: str) -> tuple[Contender, ...]:
    return (
        Contender(OURS, store, _READ, "engine"),
        Contender(SAME, store, _READ, "backed"),
        Contender(PEER, store, _READ, "backed", "scdataset"),
        Contender(IN_WORKERS, store, _READ, "workers", "scdataset"),
    )


def _dense(size: str = "") -> Part:
    """Return a part of loops that end in dense tensors of all genes, in batches of 64 or of ``size``."""
    return Part(
        "plain h5ad to dense tensors, batches of " + (size[1:] or "64") + ", rows/s",
        (
            Contender("open_collection, ToTorch", "plain", _READ, f"tensors{size}"),
            Contender("open_collection, toarray in a hook", "plain", _READ, f"toarray{size}"),
            Contender(SCRIPT, "plain", _READ, f"dense{size}"),
            Contender(LIMIT, "plain", _READ, f"bare{size}"),
            Contender(ORIGINAL, "plain", _READ, f"dense{size}", "scdataset"),
        ),
        blocks=(16, 64),
        windows=(2, 4),
    )


PARTS = {
    "plain": Part(
        "plain h5ad, rows/s",
        (
            *_over_h5ad("plain"),
            Contender(CELLSTREAM, "cellstream", "read_cellstream.py", "", "cellstream"),
            Contender(ANNBATCH, "annbatch", _READ_ANNBATCH, "", "annbatch", smallest_block=16),
        ),
    ),
    "gzip": Part("gzip h5ad, rows/s", _over_h5ad("gzip"), windows=(2, 3)),
    "annbatch": Part(
        "annbatch's own store, rows/s",
        (
            Contender(OURS, "annbatch", _READ, "engine"),
            Contender(ANNBATCH, "annbatch", _READ_ANNBATCH, "", "annbatch"),
        ),
        blocks=(64, 512),
    ),
    "dense": _dense(),
    "dense-1024": _dense("-1024"),
    "genes": Part(
        "2,000 genes of plain h5ad in batches of 1,024, rows/s",
        (
            Contender("normalised, logged, dense", "plain", _READ, "genes-1024"),
            Contender("CSR", "plain", _READ, "chosen-1024"),
        ),
        blocks=(16, 64),
    ),
}


def measure(
    contender: Contender, path: Path, block_size: int, windows: tuple[int, int], environments: Environments
) -> dict[str, Any]:
    """Read the store into the page cache and run a contender once."""
    page_cache.warm(path)
    python = environments.python(contender.peer) if contender.peer else Path(sys.executable)
    return run_script(python, contender.script, path, block_size, *windows, contender.how)


def measure_part(part: Part, kept: results.Results, options: Namespace, environments: Environments) -> None:
    """Measure the contenders of a part in turns."""
    windows = tuple(options.windows) if options.windows else part.windows
    contenders = list(_present(part, kept, options, environments))
    for block_size in options.blocks or part.blocks:
        found: dict[str, list[dict[str, Any]]] = {}
        for round_ in range(options.rounds):
            for contender, path in contenders:
                if block_size < contender.smallest_block:
                    continue
                measured = measure(contender, path, block_size, windows, environments)
                found.setdefault(contender.name, []).append(measured)
                told = f"{measured['rate']:,.0f} rows/s, {measured['memory']:,.0f} MB {measured.get('way', '')}"
                print(f"{part.title}, block {block_size}, round {round_}: {contender.name}: {told}", flush=True)  # noqa: T201
        _keep(part, block_size, found, kept)


def _present(
    part: Part, kept: results.Results, options: Namespace, environments: Environments
) -> Iterator[tuple[Contender, Path]]:
    """Yield the contenders that were asked for and can run here, and their stores."""
    for contender in part.contenders:
        if contender.peer and contender.peer not in options.peers:
            continue
        if contender.name == IN_WORKERS and not options.workers:
            continue
        try:
            path = make_store(contender.store, options.data, options.cells, environments)
            if contender.peer:
                environments.python(contender.peer)
        except MissingPythonError as error:
            kept.note(f"{part.title}: {contender.name} left out: {error}")
            continue
        if contender.store in CONVERTED and (took := conversion(path)):
            kept.note(f"converting to {path.name} took {took['seconds']:.0f} s and {took['memory']:,.0f} MB")
        yield contender, path


def _keep(part: Part, block_size: int, found: dict[str, list[dict[str, Any]]], kept: results.Results) -> None:
    """Write down what a block size gave: the first contender against the others, and one script there and here."""
    first = part.contenders[0].name
    against = {name: (first, name) for name in found if name != first}
    if SAME in found:
        against[SAME] = (SAME, PEER)
    for name in (SCRIPT, LIMIT):
        if name in found:
            against[name] = (name, ORIGINAL)
    for name, runs in found.items():
        told = {key: [run[key] for run in runs] for key in ("rows", "seconds", "memory", "own_memory")}
        ratio = {"ratio": against[name]} if name in against else {}
        ways = {"ways": [run["way"] for run in runs]} if "way" in runs[0] else {}
        rates = [run["rate"] for run in runs]
        kept.add(
            part.title, f"block {block_size}", name, rates=rates, **told, **ratio, **ways, versions=runs[0]["versions"]
        )
        print(f"  {name}: {statistics.median(rates):,.0f} rows/s", flush=True)  # noqa: T201


def main() -> None:
    """Measure and print a table a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    results.add_options(parser)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--blocks", nargs="+", type=int, help="block sizes instead of each part's own")
    parser.add_argument("--windows", nargs=2, type=int, help="windows to skip and to count, instead of each part's own")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", action="store_true", help="scDataset 0.3.0 also in two worker processes")
    parser.add_argument("--python312", help="Python 3.12 for annbatch; python3.12 on PATH if not given")
    options = parser.parse_args()
    kept = results.Results("peers", options)
    environments = Environments(options.data, options.python312)
    for name in options.parts:
        measure_part(PARTS[name], kept, options, environments)
    print("\n".join(tables(kept.measurements)), f"\n\n{kept.path}")  # noqa: T201


if __name__ == "__main__":
    main()
