"""Rows a second, requests and opening times of h5ad in a store of simulated latency and bandwidth.

    python benchmarks/remote.py [--rows 16384] [--latency 0.03] [--bandwidth 1e8]

It makes its files and its server, which runs in another process of the same machine and takes part of its cores. The
model's limit is the time that the requests which were made take on 64 connections: latency and bytes over bandwidth of
each, and nothing else.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.testing.object_server import ObjectServer, Request

_CONNECTIONS = 64


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


class _Reporting(ObjectServer):
    """A server that sends its requests as the object ``_requests``, and forgets them."""

    def receive(self, request: Request) -> Any:
        if request.key == "_requests":
            asked = [(one.start, one.stop) for one in self.requests]
            self.requests.clear()
            self.objects["_requests"] = json.dumps(asked).encode()
            return None
        return super().receive(request)


def _serve(folder: str, latency: float, bandwidth: float, ready: Any) -> None:
    objects = {path.name: path.read_bytes() for path in Path(folder).glob("*.h5ad")}
    with _Reporting({**objects, "_requests": b""}, latency=latency, bandwidth=bandwidth) as server:
        ready.put(server.options)
        time.sleep(1e6)


class _Store:
    """The server, seen from here."""

    def __init__(self, folder: Path, latency: float, bandwidth: float) -> None:
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        self._process = context.Process(target=_serve, args=(str(folder), latency, bandwidth, queue), daemon=True)
        self._process.start()
        self.options = queue.get()
        self._latency, self._bandwidth = latency, bandwidth

    def requests(self) -> list[tuple[int, int]]:
        """Return the ranges that were asked for since the last call."""
        with urllib.request.urlopen(f"{self.options['endpoint']}/bucket/_requests") as answer:  # noqa: S310 our own
            return [tuple(one) for one in json.loads(answer.read())]

    def least_seconds(self, requests: list[tuple[int, int]]) -> float:
        """Return the model's limit."""
        return sum(self._latency + (stop - start) / self._bandwidth for start, stop in requests) / _CONNECTIONS

    def stop(self) -> None:
        self._process.terminate()


def _open(store: _Store, name: str) -> Any:
    return open_collection(f"s3://bucket/{name}", storage_options=store.options)


def _opening(store: _Store, name: str) -> None:
    for which in ("first", "second"):
        store.requests()
        began = time.perf_counter()
        _open(store, name).close()
        took = time.perf_counter() - began
        print(f"{name}: {which} opening {took:.2f} s, {len(store.requests())} requests")  # noqa: T201


def _rows(store: _Store, name: str, block: int, n_rows: int) -> None:
    with closing(_open(store, name)) as cells:
        dataset = scDataset(cells, BlockShuffling(block), 64, fetch_factor=32, seed=0)
        store.requests()
        began, n = time.perf_counter(), 0
        for batch in dataset:
            n += batch["X"].shape[0]
            if n >= n_rows:
                break
        took = time.perf_counter() - began
    asked = store.requests()
    least, mib = store.least_seconds(asked), sum(stop - start for start, stop in asked) / 2**20
    limit = f", {least / took:.2f} of the model's limit of {n / least:,.0f} rows/s" if asked else ", all from the cache"
    print(f"{name}: block {block}: {n / took:,.0f} rows/s, {len(asked)} requests, {mib:,.0f} MiB{limit}")  # noqa: T201


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--nonzeros", type=int, default=820)
    parser.add_argument("--chunks", type=int, default=4_096)
    parser.add_argument("--latency", type=float, default=0.03)
    parser.add_argument("--bandwidth", type=float, default=1e8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, compression in {"plain": None, "gzip": "gzip"}.items():
            _write(folder / f"{kind}.h5ad", arguments.rows, arguments.nonzeros, arguments.chunks, compression)
        store = _Store(folder, arguments.latency, arguments.bandwidth)
        try:
            for kind in ("plain", "gzip"):
                os.environ["SCDATASET_CACHE_DIR"] = str(folder / "compiled")
                for batch in scDataset(
                    open_collection(folder / f"{kind}.h5ad"), BlockShuffling(16), 64, fetch_factor=2
                ):
                    batch["X"].sum()  # kernels are compiled before anything is timed
                    break
                os.environ["SCDATASET_CACHE_DIR"] = str(folder / "cache")
                _opening(store, f"{kind}.h5ad")
                for block in (16, 64, 256):
                    shutil.rmtree(folder / "cache")
                    _rows(store, f"{kind}.h5ad", block, arguments.rows)
                _rows(store, f"{kind}.h5ad", 256, arguments.rows)
        finally:
            store.stop()


if __name__ == "__main__":
    main()
