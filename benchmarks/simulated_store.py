"""A store of simulated latency and bandwidth, in a process of its own."""

import asyncio
import hashlib
import json
import multiprocessing
import re
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["CONNECTIONS", "Asked", "SimulatedStore"]

CONNECTIONS = 64

Asked = tuple[str, int, int]
"""An object, and the bytes of it that were asked for."""


class _Served:
    """Objects, and the ranges of them that were asked for."""

    def __init__(self, folder: Path, latency: float, bandwidth: float) -> None:
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self._objects = {key: memoryview(path.read_bytes()) for key, path in sorted(files.items())}
        self._etags = {name: hashlib.blake2b(content).hexdigest()[:32] for name, content in self._objects.items()}
        self._latency, self._bandwidth = latency, bandwidth
        self._asked: list[Asked] = []

    def answer(self, request: str) -> tuple[float, bytes, memoryview]:
        """Return the seconds until an answer has come, its header and its body."""
        method, path, _ = request.split(" ", 2)
        url = urlsplit(path)
        key = unquote(url.path).partition("/bucket/")[2]
        if key == "_requests":
            asked, self._asked = self._asked, []
            return 0.0, *self._framed("200 OK", memoryview(json.dumps(asked).encode()))
        if "list-type" in url.query:
            return self._latency, *self._framed("200 OK", self._listed(parse_qs(url.query)))
        content = self._objects.get(key)
        if content is None:
            return self._latency, *self._framed("404 Not Found", memoryview(b""))
        found = re.search(r"(?i)\nrange: bytes=(\d+)-(\d+)", request)
        start, stop = (int(found[1]), min(int(found[2]) + 1, len(content))) if found else (0, len(content))
        named = f'ETag: "{self._etags[key]}"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n'
        if method == "HEAD":
            return self._latency, self._framed("200 OK", content, named)[0], memoryview(b"")
        self._asked.append((key, start, stop))
        ranged = f"Content-Range: bytes {start}-{stop - 1}/{len(content)}\r\n" if found else ""
        status = "206 Partial Content" if found else "200 OK"
        delay = self._latency + (stop - start) / self._bandwidth
        return delay, *self._framed(status, content[start:stop], named + ranged)

    def _listed(self, query: dict[str, list[str]]) -> memoryview:
        """Return all keys below a prefix, or the folders and objects right in it."""
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        keys, folders = [], set()
        for key in self._objects:
            name, found, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
            if key.startswith(prefix):
                folders.add(prefix + name + delimiter) if found else keys.append(key)
        entries = [
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self._etags[key]}&quot;</ETag><Size>{len(self._objects[key])}</Size></Contents>"
            for key in keys
        ]
        entries += [f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(entries)}</ListBucketResult>"
        return memoryview(text.encode())

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


class SimulatedStore:
    """The store, seen from here.

    Parameters
    ----------
    folder
        The files that it has, which it keeps in memory.
    latency, bandwidth
        Seconds until an answer begins, and bytes a second of each connection.
    """

    def __init__(self, folder: Path, latency: float, bandwidth: float) -> None:
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        self._process = context.Process(target=_serve, args=(str(folder), latency, bandwidth, queue), daemon=True)
        self._process.start()
        self.options = queue.get()
        self._latency, self._bandwidth = latency, bandwidth

    def requests(self) -> list[Asked]:
        """Return the bytes that were asked for since the last call."""
        with urllib.request.urlopen(f"{self.options['endpoint']}/bucket/_requests") as answer:  # noqa: S310 our own
            return [tuple(one) for one in json.loads(answer.read())]

    def least_seconds(self, requests: list[Asked]) -> float:
        """Return the time of requests on all connections by latency and bandwidth alone."""
        return sum(self._latency + (stop - start) / self._bandwidth for _, start, stop in requests) / CONNECTIONS

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
