"""Streams read what libraries ask for, and wait for no thread."""

from concurrent.futures import Future
from contextlib import closing

import pytest
from tests.engine.bytes.objects import CONTENT

pytest.importorskip("obstore")

from scdataset.engine.bytes import remote_stream
from scdataset.engine.bytes.remote import RemoteFile


def test_a_thread_that_never_ends_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(remote_stream, "_PATIENCE", 0.01)
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file._state().file(file).coming.update(dict.fromkeys(range(20, 60), Future()))
        with file.stream() as stream:
            stream.seek(2_000_000)
            assert stream.read(500_000) == CONTENT[2_000_000:2_500_000]


def test_no_lock_is_taken_by_a_read(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file, file.stream() as stream, file._state().lock:
        stream.seek(3_000_000)
        assert stream.read(10) == CONTENT[3_000_000:3_000_010]


def test_bytes_before_the_end_and_none_after_it(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file, file.stream() as stream:
        assert stream.readable()
        assert stream.seekable()
        assert stream.seek(-10, 2) == len(CONTENT) - 10
        assert stream.read() == CONTENT[-10:]
        assert stream.read(10) == b""


def test_a_small_read_takes_some_bytes_along(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file, file.stream() as stream:
        for place in (0, len(CONTENT) - 10, 2_000_000):  # the ends, which are asked for in any case, come first
            stream.seek(place)
            stream.read(10)
        server.requests.clear()
        stream.read(100_000)
        assert not server.requests
