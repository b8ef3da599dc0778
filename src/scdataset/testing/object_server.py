"""A small object store on this machine, with the faults that real ones have.

It speaks the part of HTTP and of S3 that reading and writing stores takes: GET and HEAD with ranges and preconditions,
PUT, also of what may not be there yet, and listing.

with ObjectServer({"plates/a.h5ad": content}) as server:
    open_collection(server.s3("plates/*.h5ad"), storage_options=server.options)
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

__all__ = ["Fault", "ObjectServer", "Request"]

_BUCKET = "bucket"

_PIECE = 1 << 18
"""Bytes that are sent at a time where the bandwidth is limited."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was received.

    Attributes
    ----------
    method
        ``"GET"``, ``"HEAD"`` or ``"PUT"``; ``"LIST"`` for a listing.
    key
        The object, or the prefix of a listing.
    start, stop
        The bytes that were asked for, ``stop`` exclusive; 0 and the size for all, and for those that were sent.
    """

    method: str
    key: str
    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """How a request is answered instead.

    Attributes
    ----------
    status
        The status, such as 503; 200 to go on.
    cut
        Bytes of the body after which the connection ends; None for all.
    before
        Called first, such as to replace the object.
    """

    status: int = 200
    cut: int | None = None
    before: Callable[[], None] | None = None


@dataclass
class ObjectServer:
    """Objects behind HTTP, as files of a host and as keys of a bucket.

    Parameters
    ----------
    objects
        Their content by key; it may be changed at any time, which changes ETags.
    latency
        Seconds before each answer.
    bandwidth
        Bytes a second of each connection; None for as many as there can be.
    etags
        Whether answers have an ETag.
    fault
        Returns the fault of a request, by its number from 0 on; None for none.

    Attributes
    ----------
    requests
        Those that were received, in their order.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    latency: float = 0.0
    bandwidth: float | None = None
    etags: bool = True
    fault: Callable[[int, Request], Fault | None] = lambda _number, _request: None
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: dict[str, tuple[bytes, str]] = {}
        self._modified: dict[str, tuple[int, str]] = {}
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def options(self) -> dict[str, object]:
        """The storage options that read the bucket: this endpoint, nobody's credentials, and few retries."""
        return {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "anonymous": True,
            "retry_config": {"max_retries": 0},
        }

    def s3(self, key: str) -> str:
        """Return the URL of a key of the bucket."""
        return f"s3://{_BUCKET}/{key}"

    def http(self, key: str) -> str:
        """Return the URL of the same object as a file of the host."""
        return f"{self.endpoint}/{_BUCKET}/{key}"

    def etag(self, key: str) -> str:
        """Return the ETag of an object."""
        content = self.objects[key]
        known = self._digests.get(key)
        if known is None or known[0] is not content:
            digest = hashlib.blake2b(content, digest_size=16).hexdigest()
            known = self._digests[key] = content, f'"{digest}"'
        return known[1]

    def modified(self, key: str) -> str:
        """Return the time of change of an object, a second later for each new content."""
        content = self.objects[key]
        with self._lock:
            if self._modified.get(key, (0, ""))[0] != id(content):
                self._modified[key] = id(content), formatdate(1_700_000_000 + len(self.requests), usegmt=True)
            return self._modified[key][1]

    def receive(self, request: Request) -> Fault | None:
        """Note a request, and return its fault."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests) - 1
        if self.latency:
            time.sleep(self.latency)
        return self.fault(number, request)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave out the traceback of a client that went away."""


def _handler(server: ObjectServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        store = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    store: ObjectServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if not key and "list-type" in query:
            self._list(query)
        else:
            self._send_object(key)

    def do_PUT(self) -> None:
        key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.store.receive(Request("PUT", key, 0, len(content)))
        if fault is not None and fault.before is not None:
            fault.before()
        if fault is not None and fault.status != 200:
            self._answer(fault.status, b"<Error><Code>Staged</Code></Error>")
        elif self.headers.get("If-None-Match") == "*" and key in self.store.objects:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.store.objects[key] = content
            self._answer(200, b"", {"ETag": self.store.etag(key)} if self.store.etags else {})

    def _send_object(self, key: str) -> None:
        size = len(self.store.objects.get(key, b""))
        start, stop = self._range(size)
        fault = self.store.receive(Request(self.command, key, start, min(stop, size)))
        if fault is not None and fault.before is not None:
            fault.before()
        if fault is not None and fault.status != 200:
            self._answer(fault.status, b"<Error><Code>Staged</Code></Error>")
        elif key not in self.store.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif self.headers.get("If-Match", self.store.etag(key)) != self.store.etag(key):
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self._send_content(key, None if fault is None else fault.cut)

    def _send_content(self, key: str, cut: int | None) -> None:
        content = self.store.objects[key]
        start, stop = self._range(len(content))
        if start >= len(content) and "Range" in self.headers:
            self._answer(416, b"")
            return
        body = memoryview(content)[start:stop]
        headers = {"Last-Modified": self.store.modified(key), "Accept-Ranges": "bytes"}
        if self.store.etags:
            headers["ETag"] = self.store.etag(key)
        if "Range" in self.headers:
            headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(content)}"
        self._answer(206 if "Range" in self.headers else 200, body, headers, cut)

    def _range(self, size: int) -> tuple[int, int]:
        said = self.headers.get("Range", "").removeprefix("bytes=")
        if not said:
            return 0, size
        first, _, last = said.partition("-")
        if not first:
            return max(size - int(last), 0), size
        return int(first), min(int(last) + 1, size) if last else size

    def _answer(
        self, status: int, body: bytes | memoryview, headers: Mapping[str, str] | None = None, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def _send_body(self, body: bytes | memoryview) -> None:
        if self.store.bandwidth is None:
            self.wfile.write(body)
            return
        for at in range(0, len(body), _PIECE):
            piece = body[at : at + _PIECE]
            time.sleep(len(piece) / self.store.bandwidth)
            self.wfile.write(piece)

    def _list(self, query: Mapping[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        fault = self.store.receive(Request("LIST", prefix))
        if fault is not None and fault.status != 200:
            self._answer(fault.status, b"<Error><Code>Staged</Code></Error>")
            return
        keys, folders = [], set()
        for key in sorted(self.store.objects):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                keys.append(key)
        content = "".join(map(self._entry, keys))
        content += "".join(
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)
        )
        head = f"<Name>{_BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(keys)}</KeyCount>"
        text = f"<ListBucketResult>{head}<IsTruncated>false</IsTruncated>{content}</ListBucketResult>"
        self._answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _entry(self, key: str) -> str:
        size, etag = len(self.store.objects[key]), escape(self.store.etag(key))
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{etag}</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
