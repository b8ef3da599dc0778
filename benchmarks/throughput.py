"""Rows a second through scDataset, beside the limit of the machine measured in the same run.

    python benchmarks/throughput.py [--cells 300000] [--data DIR] [--cold] [--formats plain gzip]

Data are made once, as the Tahoe-100M plates are: CSR float32 in h5ad, about 1,650 non-zeros a row of 62,710, plain and
with gzip. Windows are 16,384 rows, batches 64 and 1,024, out comes CSR with a column of labels. The limit is reading
the same bytes and doing nothing with them (plain), or reading and inflating the same chunks (gzip), with as many
threads.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numba import types
from numpy.typing import NDArray

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset._compiled import compiled
from scdataset.simulation import simulate_atlas

WINDOW = 16_384
BLOCKS = (1, 16, 64, 256)
THREADS = len(os.sched_getaffinity(0))
GAP = 4096

_pread = types.ExternalFunction("pread", types.intp(types.int32, types.intp, types.uintp, types.int64))


def make_data(folder: Path, n_cells: int, kinds: list[str]) -> dict[str, Path]:
    """Return the files, made now where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"{kind}-{n_cells}.h5ad" for kind in kinds}
    for kind, path in paths.items():
        if not path.exists():
            compression = None if kind == "plain" else kind
            simulate_atlas(path, n_cells=n_cells, n_genes=62_710, genes_per_cell=1_650, compression=compression)
    return paths


def windows(n_cells: int, block_size: int, count: int) -> list[NDArray[np.int64]]:
    """Return the rows of the first windows of an epoch, ascending."""
    order = BlockShuffling(block_size).order(n_cells, seed=0, epoch=0)
    return [np.sort(order.rows(i * WINDOW, (i + 1) * WINDOW)) for i in range(count)]


def timed_limit(work: Callable[[int], None], count: int) -> float:
    """Return rows a second of reading windows one after the other."""
    work(0)
    start = time.perf_counter()
    for number in range(1, count):
        work(number)
    return WINDOW * (count - 1) / (time.perf_counter() - start)


@compiled
def _read_ranges(
    descriptor: int, starts: NDArray[np.int64], stops: NDArray[np.int64], buffer: NDArray[np.uint8]
) -> None:
    for i in range(starts.size):
        done = starts[i]
        while done < stops[i]:
            done += max(_pread(descriptor, buffer.ctypes.data, min(stops[i] - done, buffer.size), done), 1)


def plain_limit(path: Path, rows: list[NDArray[np.int64]]) -> float:
    """Read the bytes of rows, of values and of column numbers, into one buffer a thread."""
    with h5py.File(path) as file:
        indptr = file["X/indptr"][:]
        tables = [_chunk_offsets(file[f"X/{name}"]) for name in ("data", "indices")]
    descriptor = os.open(path, os.O_RDONLY)
    ranges = [
        [_byte_ranges(indptr, part, *table) for table in tables for part in np.array_split(w, THREADS)] for w in rows
    ]
    buffers = [np.empty(1 << 20, np.uint8) for _ in range(THREADS)]

    def work(number: int) -> None:
        jobs = ranges[number]
        list(
            threads.map(
                lambda i: [_read_ranges(descriptor, *job, buffers[i]) for job in jobs[i::THREADS]], range(THREADS)
            )
        )

    with ThreadPoolExecutor(THREADS) as threads:
        rate = timed_limit(work, len(rows))
    os.close(descriptor)
    return rate


def _chunk_offsets(dataset: Any) -> tuple[NDArray[np.int64], int, int]:
    offsets = np.zeros(-(-dataset.shape[0] // dataset.chunks[0]), np.int64)

    def note(stored: Any) -> None:
        offsets[stored.chunk_offset[0] // dataset.chunks[0]] = stored.byte_offset

    dataset.id.chunk_iter(note)
    return offsets, dataset.chunks[0], dataset.dtype.itemsize


def _byte_ranges(
    indptr: NDArray[np.int64], rows: NDArray[np.int64], offsets: NDArray[np.int64], chunk: int, item: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the bytes of rows begin and end in the file, neighbours joined."""
    starts, stops = [], []
    for first_element, end in zip(indptr[rows].tolist(), indptr[rows + 1].tolist(), strict=True):
        begin = first_element
        while begin < end:
            number = begin // chunk
            until = min(end, (number + 1) * chunk)
            first = offsets[number] + (begin - number * chunk) * item
            if stops and 0 <= first - stops[-1] <= GAP:
                stops[-1] = first + (until - begin) * item
            else:
                starts.append(first)
                stops.append(first + (until - begin) * item)
            begin = until
    return np.array(starts, np.int64), np.array(stops, np.int64)


def gzip_limit(path: Path, rows: list[NDArray[np.int64]]) -> float:
    """Read and inflate the chunks that hold rows, of values and of column numbers, once a window."""
    with h5py.File(path) as file:
        indptr = file["X/indptr"][:]
        stored = [_stored_chunks(file[f"X/{name}"]) for name in ("data", "indices")]
    descriptor = os.open(path, os.O_RDONLY)

    def inflate(place: tuple[int, int], size: int) -> None:
        isal_zlib.decompress(os.pread(descriptor, place[1], place[0]), 15, size)

    def work(number: int) -> None:
        jobs = []
        for places, chunk, item in stored:
            first, last = indptr[rows[number]] // chunk, np.maximum(indptr[rows[number] + 1] - 1, 0) // chunk
            wanted = np.unique(np.concatenate([first, last]))
            jobs += [(places[c], chunk * item) for c in wanted.tolist()]
        parts = [jobs[i::THREADS] for i in range(THREADS)]
        list(threads.map(lambda part: [inflate(*job) for job in part], parts))

    with ThreadPoolExecutor(THREADS) as threads:
        rate = timed_limit(work, len(rows))
    os.close(descriptor)
    return rate


def _stored_chunks(dataset: Any) -> tuple[list[tuple[int, int]], int, int]:
    places = [(0, 0)] * -(-dataset.shape[0] // dataset.chunks[0])

    def note(stored: Any) -> None:
        places[stored.chunk_offset[0] // dataset.chunks[0]] = (stored.byte_offset, stored.size)

    dataset.id.chunk_iter(note)
    return places, dataset.chunks[0], dataset.dtype.itemsize


def ours(path: Path, block_size: int, batch_size: int, count: int) -> float:
    """Return rows a second of iterating as a user would, once memory is used again rather than asked of the system."""
    with open_collection(path, obs=["cell_type"]) as cells:
        dataset = scDataset(cells, BlockShuffling(block_size), batch_size, WINDOW // batch_size, seed=0)
        batches = iter(dataset)
        for _ in islice(batches, 4 * (WINDOW // batch_size)):
            pass
        start, rows = time.perf_counter(), 0
        for batch in islice(batches, count * (WINDOW // batch_size)):
            rows += len(batch)
        rate = rows / (time.perf_counter() - start)
        batches.close()
    return rate


def warm(path: Path) -> None:
    """Read the file once, so that it is in the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def drop_from_cache(path: Path) -> None:
    """Ask the system to forget the file's pages."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def main() -> None:
    """Measure and print one table a format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=300_000)
    parser.add_argument("--data", type=Path, default=Path.home() / ".cache" / "scdataset" / "benchmarks")
    parser.add_argument("--formats", nargs="+", default=["plain", "gzip"], choices=["plain", "gzip"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="forget the file's pages before every measurement")
    options = parser.parse_args()
    limits = {"plain": plain_limit, "gzip": gzip_limit}
    print(f"{platform.platform()}, {platform.machine()}, {THREADS} cores, {'cold' if options.cold else 'warm'}")  # noqa: T201
    for kind, path in make_data(options.data, options.cells, options.formats).items():
        print(f"\n{kind} h5ad: rows/s (share of the limit)\nblock        limit    batch 64         batch 1,024")  # noqa: T201
        count = min(10 if kind == "plain" else 5, options.cells // WINDOW - 4)
        for block_size in BLOCKS:
            rows = windows(options.cells, block_size, count)
            rates: dict[str, list[float]] = {"limit": [], "64": [], "1024": []}
            measured: dict[str, Callable[[], float]] = {
                "limit": partial(limits[kind], path, rows),
                "64": partial(ours, path, block_size, 64, count),
                "1024": partial(ours, path, block_size, 1024, count),
            }
            for _ in range(options.rounds):
                for name, measure in measured.items():
                    (drop_from_cache if options.cold else warm)(path)
                    rates[name].append(measure())
            limit = statistics.median(rates["limit"])
            cells = [
                f"{statistics.median(rates[n]):9,.0f} ({statistics.median(rates[n]) / limit:.2f})"
                for n in ("64", "1024")
            ]
            print(f"{block_size:5} {limit:12,.0f}  {'  '.join(cells)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
