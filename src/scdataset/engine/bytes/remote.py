"""Objects of a store as sources of bytes, which are fetched in blocks to a sparse local file before they are read.

    ranges ──► blocks that are missing ──► requests, many at once ──► sparse file ──► compiled loops

All requests demand the version that was opened.
"""

import io
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scdataset.engine.bytes import connections, descriptors
from scdataset.engine.bytes.blocks import blocks_of, requests_for
from scdataset.engine.bytes.object_store import Bucket, Location, ObjectVersion
from scdataset.engine.bytes.remote_stream import RemoteStream
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.bytes.sparse_file import BLOCK, RemovedError, SparseFile
from scdataset.engine.observer import ANSWER, BODY, READ, observed, observer_here
from scdataset.errors import DamagedFileError, UnreachableStoreError

if TYPE_CHECKING:
    from obstore import Bytes

__all__ = ["RemoteFile", "requested"]

_MAX_GAP = (1 << 18) // BLOCK
"""Blocks between two that are fetched along with them: as many as come in the time of a request."""

_LEAST_REQUEST = (1 << 20) // BLOCK
"""Blocks that a request may have however few are asked for: a connection waits for an answer as long as for these."""

_START = (1 << 20) // BLOCK
"""Blocks that come with the opening of an object: small objects whole, and the metadata at the start of others."""

_CONFIRMED = 30.0
"""Seconds for which the version that a response had is not asked for again."""

_TRIES = 3
"""How often blocks are asked for that another thread gave up."""


class RemoteFile:
    """One version of an object in a store.

    Parameters
    ----------
    url
        Such as ``s3://bucket/plates/a.h5ad``.
    version
        The version that is to be read, if it is known from a listing; None asks the store.
    bucket
        The bucket, if it is known; None takes the options of the collection that is being opened.

    Raises
    ------
    MissingFileError
        If there is no such object; the message has names that are near.
    UnreadableFileError
        If it may not be read.
    UnreachableStoreError
        If the store does not answer.
    """

    is_settled = True
    checks = True
    is_remote = True

    def __init__(self, url: str, version: ObjectVersion | None = None, bucket: Bucket | None = None) -> None:
        location = Location.from_url(url)
        self.path = url
        self._key = location.key
        self._bucket = Bucket.from_location(location) if bucket is None else bucket
        self._process: _Process | None = None
        if version is None:
            self._version = self._opened()
        else:
            self._version = version
            self._state().confirmed = time.monotonic()

    @property
    def address(self) -> str:
        """The URL."""
        return self._bucket.url(self._key)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._version.size

    @property
    def identity(self) -> tuple[int | str, ...]:
        """Size, and ETag or time of change."""
        return tuple(self._version)

    @contextmanager
    def ready(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[int | None]:
        """Give the descriptor of a sparse file that has these bytes in their places; None if they go over the end.

        The file is longer than the object, so that compiled loops would not notice.
        """
        with self._held(offsets, sizes) as (file, descriptor, missing):
            self._fetch(file, descriptor, missing)
            yield None if np.any(offsets + sizes > self.size) else descriptor

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset``, or fewer where the object ends."""
        stored = self.read_unchecked(offset, size)
        self.check()
        return stored

    def read_unchecked(self, offset: int, size: int) -> bytes:
        """As `read`, without the check; the caller calls `check` once after many reads."""
        return self.read_many([offset], [size])[0]

    def read_many(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Return the bytes of each range, fetched together."""
        with self._held(np.array(offsets, np.int64), np.array(sizes, np.int64)) as (file, descriptor, missing):
            self._fetch(file, descriptor, missing)
            return [file.read(offset, size, descriptor) for offset, size in zip(offsets, sizes, strict=True)]

    def is_in_memory(self, offsets: NDArray[np.int64]) -> bool:  # noqa: ARG002 as in the protocol
        """Return False: announcing finds the bytes that are missing."""
        return False

    def announce(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> int:
        """Begin to fetch these bytes, and return the number of requests that do so; 0 if all are there."""
        return len(self.request(offsets, sizes))

    def request(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> list["Future[None]"]:
        """As `announce`, and return the requests."""
        if self._state().has(self._blocks(offsets, sizes)):
            return []
        with self._held(offsets, sizes) as (file, descriptor, missing):
            return self._request(file, descriptor, missing)

    def planned(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64], planned: NDArray[np.bool_]) -> list[int]:
        """Return the bytes of each request that would fetch these bytes now.

        Parameters
        ----------
        planned
            Blocks that are taken as fetched, shape ``(n_blocks,)``; those of these requests are added.
        """
        with self._held(offsets, sizes) as (file, _, missing):
            new = [block for block in missing.tolist() if not planned[block] and block not in file.coming]
        requests = _requests_for(np.array(new, np.int64))
        for first, count in requests:
            planned[first : first + count] = True
        return [min((first + count) * BLOCK, self.size) - first * BLOCK for first, count in requests]

    @property
    def n_blocks(self) -> int:
        """Blocks of the object."""
        return -(-self.size // BLOCK)

    @property
    def version(self) -> ObjectVersion:
        """The version that was opened."""
        return self._version

    @property
    def ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Offsets and sizes of both ends, where formats have their metadata."""
        length = _START * BLOCK
        return np.array([0, max(self.size - length, 0)]), np.array([length, length])

    def stream(self) -> io.RawIOBase:
        """Return a stream over the object, both ends of which are asked for now."""
        with self._held(*self.ends) as (file, descriptor, missing):
            self._request(file, descriptor, missing)
            return RemoteStream(file, os.dup(descriptor), file.coming, self._fetch_now, BLOCK)

    def check(self) -> None:
        """Raise if the object is no longer the version that was opened, as far as a recent response tells."""
        state = self._state()
        if time.monotonic() - state.confirmed > _CONFIRMED:
            connections.result_of(connections.submit(partial(self._bucket.head, self._key, self._version)))
            state.confirmed = time.monotonic()

    def close(self) -> None:
        """Close the sparse file, and give up requests that have not begun."""
        state, self._process = self._process, None
        if state is not None and state.pid == os.getpid():
            state.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_process": None}

    def _opened(self) -> ObjectVersion:
        """Ask for the version that is there now, and take the first bytes along if they are not cached."""
        try:
            version, answer = self._bucket.fetch(self._key, 0, _START * BLOCK, None)
        except UnreachableStoreError as error:
            if "status code: 416" not in str(error):  # only an empty object has no first bytes
                raise
            version, answer = self._bucket.head(self._key), None
        self._version = version
        self._state().confirmed = time.monotonic()
        stop = min(_START * BLOCK, version.size)
        with self._held(np.zeros(1, np.int64), np.array([stop])) as (file, descriptor, missing):
            if answer is not None and missing.size:
                file.write(0, memoryview(self._bucket.body(self._key, answer, stop)), descriptor)
        return version

    def _state(self) -> "_Process":
        """Return the state of this process; a fork leaves the requests of its parent alone."""
        state = self._process
        if state is None or state.pid != os.getpid():
            state = self._process = _Process()
        return state

    @contextmanager
    def _held(
        self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Iterator[tuple[SparseFile, int, NDArray[np.int64]]]:
        """Give the sparse file, its descriptor, which is not closed meanwhile, and the blocks of ranges it lacks."""
        blocks = self._blocks(offsets, sizes)
        with ExitStack() as stack:
            while True:
                file = self._state().file(self)
                try:
                    descriptor = stack.enter_context(descriptors.opened(file))
                    missing = file.missing(blocks, descriptor)
                    if missing.size:
                        file.check_room(descriptor)
                    break
                except RemovedError:
                    stack.close()
                    self._state().drop(file)
            yield file, descriptor, missing

    def _blocks(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the blocks of ranges, as far as the object goes."""
        return blocks_of(offsets, np.minimum(sizes, np.maximum(self.size - offsets, 0)), BLOCK)

    def _fetch(self, file: SparseFile, descriptor: int, blocks: NDArray[np.int64]) -> None:
        """Fetch those of some blocks that are missing, and wait for them.

        Raises
        ------
        DamagedFileError
            If the object was replaced.
        """
        for _ in range(_TRIES):
            coming = self._request(file, descriptor, blocks)
            for future in coming:
                with observed(READ), suppress(CancelledError):  # another thread has closed the file
                    connections.result_of(future)
            if not coming:
                return
        missing = file.missing(blocks, descriptor)
        if missing.size:
            message = f"{self.path} cannot be cached: block {missing[0]} is not as it was written; is the disk damaged?"
            raise DamagedFileError(message)

    def _request(self, file: SparseFile, descriptor: int, blocks: NDArray[np.int64]) -> list["Future[None]"]:
        """Ask for missing blocks that are not on their way yet, and return the requests for all that are missing."""
        missing = file.missing(blocks, descriptor)
        if missing.size == 0:
            return []
        state = self._state()
        with state.lock:
            known = {block: file.coming.get(block) for block in missing.tolist()}
            new = np.array([block for block, future in known.items() if future is None], np.int64)
            new = file.missing(new, descriptor)  # but those that came since
            asked = [self._begin(state, file, *one) for one in _requests_for(new)]
        return list({id(future): future for future in (*known.values(), *asked) if future is not None}.values())

    def _begin(self, state: "_Process", file: SparseFile, first: int, count: int) -> "Future[None]":
        future = connections.submit(partial(copy_context().run, self._fetch_blocks, state, file, first, count))
        file.coming.update(dict.fromkeys(range(first, first + count), future))
        return future

    def _fetch_now(self, first: int, count: int) -> "Bytes":
        """Return the bytes of blocks by a request of this thread."""
        start, stop = first * BLOCK, min((first + count) * BLOCK, self.size)
        begun = time.perf_counter()
        _, answer = self._bucket.fetch(self._key, start, stop, self._version)
        answered = time.perf_counter()
        body = self._bucket.body(self._key, answer, stop - start)
        observer = observer_here()
        if observer is not None:
            observer.count(fetches=1, fetched_bytes=stop - start)
            observer.add(ANSWER, answered - begun)
            observer.add(BODY, time.perf_counter() - answered)
        self._state().confirmed = time.monotonic()
        return body

    def _fetch_blocks(self, state: "_Process", file: SparseFile, first: int, count: int) -> None:
        try:
            body = self._fetch_now(first, count)
            with descriptors.opened(file) as descriptor:
                file.write(first, memoryview(body), descriptor)
        finally:
            with state.lock:
                for block in range(first, first + count):
                    file.coming.pop(block, None)


def requested(source: ByteSource, offsets: Sequence[int], sizes: Sequence[int]) -> list["Future[None]"]:
    """Begin to fetch bytes of a source, and return the requests that do so; none if all are there."""
    if not isinstance(source, RemoteFile):
        return []
    return source.request(np.array(offsets, np.int64), np.array(sizes, np.int64))


def _requests_for(blocks: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the first block and the number of blocks of each request for blocks of one read."""
    return requests_for(blocks, _MAX_GAP, max(blocks.size // connections.MOST, _LEAST_REQUEST))


class _Process:
    """The sparse file of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.confirmed = -math.inf
        self._file: SparseFile | None = None

    def file(self, of: RemoteFile) -> SparseFile:
        with self.lock:
            if self._file is None:
                self._file = SparseFile(f"{of.address}\0{of.identity}", of.size)
            return self._file

    def has(self, blocks: NDArray[np.int64]) -> bool:
        """Whether all of these blocks are known to be there."""
        return self._file is not None and self._file.has(blocks)

    def drop(self, file: SparseFile) -> None:
        """Begin another file, once this one was removed; requests that are under way go to it in vain."""
        with self.lock:
            if self._file is file:
                self._file = None
                file.close()

    def close(self) -> None:
        with self.lock:
            if self._file is not None:
                for future in list(self._file.coming.values()):
                    future.cancel()
                self._file.coming.clear()
                self._file.close()
