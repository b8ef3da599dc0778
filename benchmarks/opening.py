"""Time and memory to open a large file: the first time, and again from the cache.

    python benchmarks/opening.py [--cells 7000000] [--chunks 250000] [--data DIR]

The file has 7,000,000 cells and 250,000 chunks in each of data and indices, all gzip and all alike, so that it takes
little disk; names in obs are never written. Each opening is a process of its own, and starts after imports; memory is
what the resident size has grown by, then and at its peak. The last lines are what an opening waits for h5py alone, and
what reading all names of obs, which an opening does not, would add.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import zlib
from pathlib import Path

import h5py
import numpy as np

CHUNK = 30_360
GENES = 20_000

OPENING = """
    import json, resource, sys, time
    import anndata, h5py
    import numpy as np
    from scdataset import open_collection

    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

    before, start = resident(), time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if sys.argv[2] == "open":
        cells = open_collection(sys.argv[1])
    else:
        with h5py.File(sys.argv[1]) as file:
            if sys.argv[2] == "names":
                file["obs/_index"][:]
            else:
                shapes = [file[f"X/{name}"].shape for name in ("data", "indices", "indptr")]
    opened = time.perf_counter()
    grown = resident() - before
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - max(peak, before), grown)
    if sys.argv[2] == "open":
        assert cells.read(np.array([len(cells) - 1, 0]))["X"].sum() > 0
    print(json.dumps({"opened": opened - start, "grown": grown, "peak": peak}))
"""


def make(path: Path, n_cells: int, n_chunks: int) -> None:
    """Write an h5ad file whose chunks all hold the same."""
    n_elements = n_chunks * CHUNK
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [n_cells, GENES]})
        group["indptr"] = np.linspace(0, n_elements, n_cells + 1).astype(np.int64)
        for name, values in {"data": np.ones(CHUNK, np.float32), "indices": np.arange(CHUNK, dtype=np.int32)}.items():
            dataset = group.create_dataset(name, (n_elements,), values.dtype, chunks=(CHUNK,), compression="gzip")
            stored = zlib.compress((values % GENES).tobytes())
            for number in range(n_chunks):
                dataset.id.write_direct_chunk((number * CHUNK,), stored)
        for name, size in {"obs": n_cells, "var": GENES}.items():
            frame = file.create_group(name)
            frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
            frame.attrs["column-order"] = np.array([], "S1")
            index = frame.create_dataset("_index", (size,), h5py.string_dtype(), chunks=True)
            index.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def measure(path: Path, what: str, cache: str) -> dict[str, float]:
    """Return seconds and bytes of one process that opens the file."""
    environment = {**os.environ, "SCDATASET_CACHE_DIR": cache}
    run = [sys.executable, "-c", textwrap.dedent(OPENING), str(path), what]
    result: dict[str, float] = json.loads(subprocess.run(run, check=True, capture_output=True, env=environment).stdout)
    return result


def report(name: str, found: dict[str, float]) -> None:
    """Print a line."""
    line = f"{name:34} {found['opened'] * 1e3:8,.1f} ms, memory {found['grown'] / 1e6:5.0f} MB, at its peak "
    print(f"{line}{found['peak'] / 1e6:5.0f} MB")  # noqa: T201


def main() -> None:
    """Make the file and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=7_000_000)
    parser.add_argument("--chunks", type=int, default=250_000)
    parser.add_argument("--data", type=Path, default=None, help="where the file goes, 150 MB; removed afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.data) as folder:
        path = Path(folder) / "large.h5ad"
        make(path, options.cells, options.chunks)
        os.utime(path, (1, 1))  # what changed just now is not cached
        cache = f"{folder}/cache"
        first, again = measure(path, "open", cache), [measure(path, "open", cache) for _ in range(5)]
        best = min(again, key=lambda found: found["opened"])
        print(f"{options.cells:,} cells, {options.chunks:,} chunks in each of data and indices")  # noqa: T201
        report("first opening", first)
        report("second opening, best of five", best)
        kept = sum(table.stat().st_size for table in (Path(cache) / "tables").glob("*"))
        print(f"{first['opened'] / best['opened']:.0f} times as fast; the cache takes {kept / 1e6:.0f} MB")  # noqa: T201
        report("h5py alone, without tables", measure(path, "shapes", cache))
        report("h5py reading the names in obs", measure(path, "names", cache))


if __name__ == "__main__":
    main()
