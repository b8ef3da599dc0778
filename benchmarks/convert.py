"""Size, time and memory of a conversion, and rows a second of the store, beside the stores of other packages.

    python benchmarks/convert.py [--cells 300000] [--chunks 65536 ...] [--peers cellstream annbatch] [--blocks 1 16 ...]

Stores are made once and kept with the data. Rows are read in turns, each time in a process of its own: batches of 64
from shuffled windows of 16,384 rows in blocks; block 16384 is whole windows. Peers are measured where they run.
"""

import argparse
import shutil
import statistics
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import page_cache
import results
from data import CONVERTED, add_options, conversion, make_store, noted
from peer_environments import Environments, MissingPythonError, run_script
from table import tables

READERS = {"cellstream": "read_cellstream.py", "annbatch": "read_annbatch.py"}

Store = tuple[str, Path, Path, str, str]
"""Name, path, and the interpreter, script and way that read it."""


def converted(options: Namespace, environments: Environments, chunk: int) -> Path:
    """Return the store of scdataset.convert with chunks of some size, made now if it is missing."""
    path: Path = options.data / f"converted-{chunk}-{options.cells}.zarr"
    if not path.exists():
        source = make_store("plain", options.data, options.cells, environments)
        shutil.rmtree(f"{path}.conversion", ignore_errors=True)
        noted(path, run_script(Path(sys.executable), "convert_scdataset.py", source, path, chunk))
    return path


def stores(options: Namespace, kept: results.Results, environments: Environments) -> Iterator[Store]:
    """Yield the stores to read."""
    for chunk in options.chunks:
        path = converted(options, environments, chunk)
        yield f"scdataset.convert, chunks of {chunk}", path, Path(sys.executable), "read_scdataset.py", "engine"
    for peer in options.peers:
        try:
            path = make_store(peer, options.data, options.cells, environments)
            yield peer, path, environments.python(peer), READERS[peer], ""
        except MissingPythonError as error:
            kept.note(f"{peer} left out: {error}")


def size_of(path: Path) -> int:
    """Return the bytes of a file or of a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def read(store: Store, block: int, options: Namespace) -> float:
    """Read a store once, from the page cache, and return rows a second."""
    _, path, python, script, how = store
    page_cache.warm(path)
    measured = run_script(python, script, path, block, *options.windows, *([how] if how else []))
    return float(measured["rate"])


def main() -> None:
    """Convert, read, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    results.add_options(parser)
    parser.add_argument("--chunks", nargs="+", type=int, default=[1 << 16])
    parser.add_argument("--peers", nargs="*", default=list(CONVERTED), choices=list(CONVERTED))
    parser.add_argument("--blocks", nargs="+", type=int, default=[1, 16, 64, 256, 16_384])
    parser.add_argument("--windows", nargs=2, type=int, default=[2, 4], help="windows to skip and to count")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--python312", help="Python 3.12 for annbatch; python3.12 on PATH if not given")
    options = parser.parse_args()
    kept = results.Results("convert", options)
    there = list(stores(options, kept, Environments(options.data, options.python312)))
    for name, path, *_ in there:
        took = conversion(path)
        told = f"{took['seconds']:.0f} s, peak memory {took['memory']:,.0f} MB" if took else "made before"
        kept.note(f"{name}: {size_of(path) / options.cells:,.1f} bytes a cell, {told}")
        print(f"{name}: {size_of(path) / options.cells:,.1f} bytes a cell, {told}", flush=True)  # noqa: T201
    for block in options.blocks:
        rates = {store[0]: [read(store, block, options) for _ in range(options.rounds)] for store in there}
        for name, found in rates.items():
            kept.add("rows/s", f"block {block}", name, rates=found)
            print(f"block {block}, {name}: {statistics.median(found):,.0f} rows/s", flush=True)  # noqa: T201
    print("\n".join(tables(kept.measurements)), f"\n\n{kept.path}")  # noqa: T201


if __name__ == "__main__":
    main()
