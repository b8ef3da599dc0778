"""From a path or URL to its bytes."""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from contextvars import copy_context
from itertools import islice

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.object_store import is_url, opening
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import ScDatasetError

__all__ = ["buffered", "fetched_ahead", "open_bytes"]

_AHEAD = 8
"""Objects that are fetched while others are opened."""

_BUFFER = 1 << 20
"""Bytes that are read from a stream at a time: the system reads nothing ahead of those that are asked for."""


def open_bytes(path: str) -> ByteSource:
    """Return the bytes of a file of this machine, or of an object of a store in the version that was listed last."""
    if is_url(path):
        return RemoteFile(path, opening().versions.get(path))
    return LocalFile(path, memory_map=opening().memory_map)


def buffered(source: ByteSource) -> io.BufferedReader:
    """Return a stream over an object for libraries that read all of it, or long stretches."""
    return io.BufferedReader(source.stream(), _BUFFER)


def fetched_ahead(paths: Sequence[str]) -> Iterator[str]:
    """Yield paths, each once both ends of it were fetched if it is an object, and so are those of the next ones."""
    if len(paths) < 2 or not any(map(is_url, paths)):
        yield from paths
        return
    coming: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="scdataset-opening") as threads:
        try:
            following = iter(paths)
            for path in islice(following, _AHEAD):
                coming.append(threads.submit(copy_context().run, _fetch_ends, path))
            for path in paths:
                coming.popleft().result()
                for other in islice(following, 1):
                    coming.append(threads.submit(copy_context().run, _fetch_ends, other))
                yield path
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _fetch_ends(path: str) -> None:
    """Fetch both ends of an object; a fault is reported when it is opened."""
    if is_url(path) and not path.rstrip("/").endswith(".zarr") and not path.endswith("/"):
        with suppress(ScDatasetError, OSError), closing(RemoteFile(path, opening().versions.get(path))) as file:
            file.read_many(*(part.tolist() for part in file.ends))
            opening().versions[path] = file.version
