"""Rows a second, requests and opening times of cells in a store of simulated latency and bandwidth.

    python benchmarks/remote.py [--rows 131072] [--read 32768] [--latency 0.03] [--bandwidth 1e8] [--data DIR]

An epoch reads `read` rows in blocks from all over a file, with an empty cache. Four references are measured with it:

limit     the time of its requests on 64 connections by latency and bandwidth alone
machine   the same client at a store without delay: what serving and receiving these bytes takes on these cores
client    obstore that makes the same requests on 64 connections, and does nothing with the bytes
disk      the same epoch from the file on disk, in the page cache: decoding and copying without a store

The store runs in another process of the same machine and takes part of its cores: 200 microseconds a request. 64
connections of 100 MB/s are 6.4 GB/s: where `machine` comes near `limit`, the cores decide, not the link. There a slower
link (such as --latency 0.12 --bandwidth 2.5e7) shows scheduling alone.
"""

import argparse
import math
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import results
from peer_environments import Environments, run_script
from simulated_store import CONNECTIONS, Asked, SimulatedStore

from scdataset import BlockShuffling, convert, open_collection, scDataset


def _write(path: Path, n_rows: int, n_nonzeros: int, n_chunks: int, compression: str | None) -> None:
    rng = np.random.default_rng(0)
    n_vars, size = 30_000, n_rows * n_nonzeros
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n_rows, n_vars)})
        options: dict[str, Any] = {"chunks": (-(-size // n_chunks),), "compression": compression}
        group.create_dataset("data", data=rng.poisson(1, size).astype(np.float32) + 1, **options)
        columns = np.sort(rng.integers(0, n_vars - n_nonzeros, (n_rows, n_nonzeros))) + np.arange(n_nonzeros)
        group.create_dataset("indices", data=columns.astype(np.int32).ravel(), **options)
        group["indptr"] = np.arange(n_rows + 1) * n_nonzeros
        for name, n in {"obs": n_rows, "var": n_vars}.items():
            frame = file.create_group(name)
            frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
            frame.attrs["column-order"] = np.array([], "S")
            frame["_index"] = np.array([f"{name}{i}" for i in range(n)], "S")
            frame["_index"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def _open(store: SimulatedStore, name: str) -> Any:
    return open_collection(f"s3://bucket/{name}", storage_options=store.options)


def _opening(store: SimulatedStore, name: str) -> None:
    for which in ("first", "second"):
        store.requests()
        began = time.perf_counter()
        _open(store, name).close()
        took = time.perf_counter() - began
        print(f"{name}: {which} opening {took:.2f} s, {len(store.requests())} requests")  # noqa: T201


def _epoch(cells: Any, block: int, n_rows: int) -> float:
    """Return the seconds of an epoch of blocks from all over the cells."""
    firsts = np.random.default_rng(0).permutation(len(cells) // block)[: n_rows // block] * block
    strategy = BlockShuffling(block, indices=(np.sort(firsts)[:, None] + np.arange(block)).ravel())
    began = time.perf_counter()
    for batch in scDataset(cells, strategy, 64, fetch_factor=32, seed=0):
        batch["X"].sum()
    return time.perf_counter() - began


def _client(store: SimulatedStore, asked: list[Asked]) -> float:
    """Return the seconds in which obstore makes the same requests."""
    import obstore  # noqa: PLC0415 an optional package
    from obstore.store import S3Store  # noqa: PLC0415 as above

    config = {"endpoint": store.options["endpoint"], "region": "us-east-1", "skip_signature": True}
    bucket = S3Store.from_url("s3://bucket", config=config, client_options={"allow_http": True})

    def get(one: Asked) -> int:
        return len(obstore.get(bucket, one[0], options={"range": one[1:]}).bytes())

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        began = time.perf_counter()
        sum(threads.map(get, asked))
        return time.perf_counter() - began


def _rows(
    store: SimulatedStore, without_delay: SimulatedStore, folder: Path, name: str, block: int, n_rows: int
) -> None:
    shutil.rmtree(folder / "cache", ignore_errors=True)
    with closing(_open(store, name)) as cells:
        store.requests()
        took = _epoch(cells, block, n_rows)
        asked = store.requests()
        again = _epoch(cells, block, n_rows)
    client, machine = _client(store, asked), _client(without_delay, asked)
    with closing(open_collection(folder / "served" / name)) as cells:
        _epoch(cells, block, n_rows)
        disk = _epoch(cells, block, n_rows)
    least, mib = store.least_seconds(asked), sum(stop - start for _, start, stop in asked) / 2**20
    rates = {"limit": least, "machine": machine, "client": client, "disk": disk}
    told = ", ".join(
        f"{seconds / took:.2f} of {of} ({n_rows / seconds:,.0f})" for of, seconds in rates.items() if seconds
    )
    print(  # noqa: T201
        f"{name}: block {block}: {n_rows / took:,.0f} rows/s, {len(asked)} requests, {mib:,.0f} MiB: {told}; "
        f"{n_rows / again:,.0f} rows/s from the cache",
        flush=True,
    )


def _through_s3fs(store: SimulatedStore, name: str, block: int, n_blocks: int, python: Path) -> None:
    """Open the same file, and read some of its blocks, with h5py over s3fs."""
    found = run_script(python, "read_s3fs.py", store.options["endpoint"], name, block, n_blocks)
    print(  # noqa: T201
        f"{name}: s3fs {found['version']} with h5py: opening {found['opening']:.2f} s, {found['opening_requests']} "
        f"requests; block {block}: {block * n_blocks / found['seconds']:,.0f} rows/s, {found['requests']} requests, "
        f"{found['bytes'] / 2**20:,.0f} MiB",
        flush=True,
    )


def _measure(folder: Path, arguments: argparse.Namespace, kinds: list[str]) -> None:
    store = SimulatedStore(folder / "served", arguments.latency, arguments.bandwidth)
    without_delay = SimulatedStore(folder / "served", 0.0, math.inf)
    try:
        os.environ["SCDATASET_CACHE_DIR"] = str(folder / "compiled")
        for name in kinds:
            for source in (_open(store, name), open_collection(folder / "served" / name)):
                for _ in range(2):  # kernels are compiled before anything is timed, also those that read the cache
                    _epoch(source, 16, 8_192)
        os.environ["SCDATASET_CACHE_DIR"] = str(folder / "cache")
        for name in (*kinds, "many-chunks.h5ad"):
            _opening(store, name)
        for name in kinds:
            for block in arguments.blocks:
                _rows(store, without_delay, folder, name, block, arguments.read)
        if arguments.s3fs:
            python = Environments(arguments.data).python("s3fs")
            for name in ("plain.h5ad", "gzip.h5ad", "many-chunks.h5ad"):
                _through_s3fs(store, name, 64, 8, python)
    finally:
        store.stop()
        without_delay.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=131_072)
    parser.add_argument("--read", type=int, default=32_768)
    parser.add_argument("--nonzeros", type=int, default=820)
    parser.add_argument("--chunks", type=int, default=4_096)
    parser.add_argument("--latency", type=float, default=0.03)
    parser.add_argument("--bandwidth", type=float, default=1e8)
    parser.add_argument("--blocks", nargs="+", type=int, default=[16, 64, 256])
    parser.add_argument("--s3fs", action="store_true", help="read with s3fs and h5py too")
    results.add_folder(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "served").mkdir()
        os.environ["SCDATASET_CACHE_DIR"] = str(folder / "compiled")
        for kind, compression in {"plain": None, "gzip": "gzip"}.items():
            path = folder / "served" / f"{kind}.h5ad"
            _write(path, arguments.rows, arguments.nonzeros, arguments.chunks, compression)
        _write(folder / "served" / "many-chunks.h5ad", 16_384, arguments.nonzeros, 100_000, None)
        convert(folder / "served" / "plain.h5ad", folder / "served" / "converted.zarr", progress=False)
        _measure(folder, arguments, ["plain.h5ad", "gzip.h5ad", "converted.zarr"])


if __name__ == "__main__":
    main()
