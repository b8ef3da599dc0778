"""Rows a second, requests and opening times of h5ad in a store of simulated latency and bandwidth.

    python benchmarks/remote.py [--rows 16384] [--latency 0.03] [--bandwidth 1e8]

It makes its files and its server, which runs in another process of the same machine and takes part of its cores: two
hundred microseconds a request, so that it is not the server that is measured. The model's limit is the time that the
requests which were made take on 64 connections: latency and bytes over bandwidth of each, and nothing else.
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import re
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


class _Served:
    """Objects, and the ranges of them that were asked for."""

    def __init__(self, folder: Path, latency: float, bandwidth: float) -> None:
        self._objects = {path.name: memoryview(path.read_bytes()) for path in folder.glob("*.h5ad")}
        self._etags = {name: hashlib.blake2b(content).hexdigest()[:32] for name, content in self._objects.items()}
        self._latency, self._bandwidth = latency, bandwidth
        self._asked: list[tuple[int, int]] = []

    def answer(self, request: str) -> tuple[float, bytes, memoryview]:
        """Return the seconds until an answer has come, its header and its body."""
        method, path, _ = request.split(" ", 2)
        key = path.rpartition("/")[2]
        if key == "_requests":
            asked, self._asked = self._asked, []
            return 0.0, *self._framed("200 OK", memoryview(json.dumps(asked).encode()))
        content = self._objects.get(key)
        if content is None:
            return self._latency, *self._framed("404 Not Found", memoryview(b""))
        found = re.search(r"(?i)\nrange: bytes=(\d+)-(\d+)", request)
        start, stop = (int(found[1]), min(int(found[2]) + 1, len(content))) if found else (0, len(content))
        named = f'ETag: "{self._etags[key]}"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n'
        if method == "HEAD":
            return self._latency, self._framed("200 OK", content, named)[0], memoryview(b"")
        self._asked.append((start, stop))
        ranged = f"Content-Range: bytes {start}-{stop - 1}/{len(content)}\r\n" if found else ""
        status = "206 Partial Content" if found else "200 OK"
        delay = self._latency + (stop - start) / self._bandwidth
        return delay, *self._framed(status, content[start:stop], named + ranged)

    @staticmethod
    def _framed(status: str, body: memoryview, more: str = "") -> tuple[bytes, memoryview]:
        return f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode(), body


class _Connection(asyncio.Protocol):
    """A connection, on which one request follows the other."""

    def __init__(self, served: _Served) -> None:
        self._served = served
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        request, end, rest = self._received.partition(b"\r\n\r\n")
        if end:
            self._received = rest
            delay, *parts = self._served.answer(request.decode())
            asyncio.get_running_loop().call_later(delay, self._send, parts)

    def _send(self, parts: list[Any]) -> None:
        for part in parts:
            if not self._transport.is_closing():
                self._transport.write(part)


def _serve(folder: str, latency: float, bandwidth: float, ready: Any) -> None:
    served = _Served(Path(folder), latency, bandwidth)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(served), "127.0.0.1", 0)
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.put({"endpoint": endpoint, "region": "us-east-1", "anonymous": True})
        await server.serve_forever()

    asyncio.run(serve())


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


def _through_s3fs(store: _Store, name: str, block: int, n_blocks: int) -> None:
    """Open the same file, and read some of its blocks, with h5py over s3fs."""
    try:
        import s3fs  # noqa: PLC0415 an optional package
    except ImportError:
        print("s3fs is not installed: nothing to compare with")  # noqa: T201
        return
    store.requests()
    began = time.perf_counter()
    files = s3fs.S3FileSystem(anon=True, client_kwargs={"endpoint_url": store.options["endpoint"]})
    with files.open(f"bucket/{name}", "rb") as stream, h5py.File(stream) as file:
        data, indices, indptr = (file[f"X/{part}"] for part in ("data", "indices", "indptr"))
        pointers = indptr[:]
        took = time.perf_counter() - began
        print(f"{name}: s3fs {s3fs.__version__} with h5py: opening {took:.2f} s, {len(store.requests())} requests")  # noqa: T201
        began = time.perf_counter()
        for start in np.random.default_rng(0).integers(0, pointers.size - 1 - block, n_blocks).tolist():
            part = slice(pointers[start], pointers[start + block])
            data[part], indices[part]
        took = time.perf_counter() - began
    asked = store.requests()
    mib = sum(stop - start for start, stop in asked) / 2**20
    rate = block * n_blocks / took
    print(f"{name}: s3fs with h5py: block {block}: {rate:,.0f} rows/s, {len(asked)} requests, {mib:,.0f} MiB")  # noqa: T201


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
                for source in (_open(store, f"{kind}.h5ad"), open_collection(folder / f"{kind}.h5ad")):
                    for batch in scDataset(source, BlockShuffling(16), 64, fetch_factor=2):
                        batch["X"].sum()  # kernels are compiled before anything is timed
                        break
                os.environ["SCDATASET_CACHE_DIR"] = str(folder / "cache")
                _opening(store, f"{kind}.h5ad")
                for block in (16, 64, 256):
                    shutil.rmtree(folder / "cache")
                    _rows(store, f"{kind}.h5ad", block, arguments.rows)
                _rows(store, f"{kind}.h5ad", 256, arguments.rows)
                _through_s3fs(store, f"{kind}.h5ad", 64, 8)
        finally:
            store.stop()


if __name__ == "__main__":
    main()
