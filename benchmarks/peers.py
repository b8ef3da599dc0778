"""Rows a second beside scDataset 0.3.0 from PyPI, over the same files, in turns.

    python benchmarks/peers.py [--cells 300000] [--data DIR]

The peer runs in a virtual environment of its own, made beside the data on the first run. Both read backed AnnData with
an unchanged script (``fetch_transform`` to memory, batches of 64 from windows of 16,384 rows, CSR out); scdataset is
also measured over `open_collection`. Peak memory is the whole process's.
"""

import argparse
import json
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

from throughput import BLOCKS, make_data, warm

SCRIPT = """
    import json, resource, sys, time, warnings
    from itertools import islice
    warnings.simplefilter("ignore")
    import anndata
    from scdataset import BlockShuffling, scDataset
    path, block, count, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if how == "engine":
        from scdataset import open_collection
        data, hooks = open_collection(path), {}
    else:
        data = anndata.read_h5ad(path, backed="r")
        hooks = {"fetch_transform": lambda window: window.to_memory().X}
    batches = iter(scDataset(data, BlockShuffling(block_size=block), batch_size=64, fetch_factor=256, seed=0, **hooks))
    for _ in islice(batches, 256 * 4):  # until memory is used again rather than asked of the system
        pass
    start = time.perf_counter()
    rows = sum(batch["X"].shape[0] if how == "engine" else batch.shape[0] for batch in islice(batches, 256 * count))
    rate = rows / (time.perf_counter() - start)
    print(json.dumps({"rate": rate, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
"""


def peer_python(folder: Path) -> Path:
    """Return the interpreter of the peer's environment, made now if it is missing."""
    python = folder / "peer-scdataset" / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
        for packages in (["torch==2.13.0"], ["scDataset==0.3.0", "anndata==0.12.*"]):
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def measure(python: Path, path: Path, block: int, count: int, how: str) -> dict[str, float]:
    """Run the script and return what it measured: rows a second, and peak memory in MB."""
    warm(path)
    command = [python, "-c", textwrap.dedent(SCRIPT), path, str(block), str(count), how]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def main() -> None:
    """Measure and print a table a format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=300_000)
    parser.add_argument("--data", type=Path, default=Path.home() / ".cache" / "scdataset" / "benchmarks")
    parser.add_argument("--formats", nargs="+", default=["plain", "gzip"], choices=["plain", "gzip"])
    options = parser.parse_args()
    paths = make_data(options.data, options.cells, options.formats)
    peer, own = peer_python(options.data), Path(sys.executable)
    for kind, path in paths.items():
        print(f"\n{kind} h5ad, rows/s (MB): scDataset 0.3.0 over backed AnnData, and how many times as fast here")  # noqa: T201
        for block in BLOCKS:
            theirs = measure(peer, path, block, 2, "backed")
            line = f"block {block:4}: {theirs['rate']:9,.0f} ({theirs['memory']:,.0f})"
            for how in ("backed", "engine"):
                ours = measure(own, path, block, 12, how)
                line += f"   {how} {ours['rate']:9,.0f} ({ours['memory']:,.0f}) = {ours['rate'] / theirs['rate']:.1f}x"
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
