"""Objects of a store, read from a server of this machine that has the faults of real ones."""

import gc
import itertools
import multiprocessing
import os
import pickle
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("obstore")

from tests.engine.bytes.objects import CONTENT

from scdataset.engine.bytes import remote
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.bytes.sparse_file import BLOCK
from scdataset.errors import (
    LoaderError,
    ScDatasetError,
)
from scdataset.testing.byte_sources import ByteSourceTests


class OfServer(ByteSourceTests):
    start_methods = ()

    @pytest.fixture(autouse=True)
    def _server(self, server, monkeypatch):
        monkeypatch.setattr(remote, "_CONFIRMED", -1.0)  # every check asks the store
        self.server, self.names = server, (f"{number}.bin" for number in itertools.count())

    def url(self, name):
        return self.server.s3(name)

    def open(self, content):
        name = next(self.names)
        self.server.objects[name] = content
        return RemoteFile(self.url(name))

    def replace(self, source, content):
        self.server.objects[source.path.rpartition("/")[2]] = content


class TestObjectOfBucket(OfServer):
    start_methods = ("spawn",)


class TestFileOfHost(OfServer):
    def url(self, name):
        return self.server.http(name)


class TestObjectWithoutETag(OfServer):
    @pytest.fixture(autouse=True)
    def _without(self, _server):
        self.server.etags = False


class TestObjectWithoutCache(OfServer):
    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch):
        monkeypatch.setenv("SCDATASET_OBJECTS_GIB", "0")


def gets(server):
    return [request for request in server.requests if request.method == "GET"]


def test_opening_takes_one_request_and_bytes_are_fetched_once(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert len(server.requests) == 1
        assert file.read(1_000, 5_000) == CONTENT[1_000:6_000]
        assert len(server.requests) == 1
        assert file.read(3_000_000, 10) == CONTENT[3_000_000:3_000_010]
        assert file.read(3_000_000, 100) == CONTENT[3_000_000:3_000_100]
        assert len(server.requests) == 2
        assert server.requests[1].stop - server.requests[1].start == BLOCK


def test_ranges_that_are_close_come_in_one_request_and_others_apart(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        starts = [2_000_000, 2_200_000, 4_000_000]
        assert file.read_many(starts, [9] * 3) == [CONTENT[start : start + 9] for start in starts]
        assert len(gets(server)) == 3


def test_announced_bytes_are_not_asked_for_again(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        there = np.array([2_000_000]), np.array([1_000_000])
        assert file.announce(*there)
        assert file.read(2_000_000, 1_000_000) == CONTENT[2_000_000:3_000_000]
        n_requests = len(server.requests)
        assert not file.announce(*there)
        file.read(2_000_000, 1_000_000)
        assert len(server.requests) == n_requests


def test_a_long_range_comes_in_requests_of_a_mebibyte(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert file.announce(np.array([1 << 20]), np.array([3 << 20])) == 3
        assert file.read(1 << 20, 3 << 20) == CONTENT[1 << 20 : 4 << 20]
        assert {request.stop - request.start for request in gets(server)} == {1 << 20}


def test_the_next_one_reads_what_was_cached(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(0, len(CONTENT))
    n_requests = len(server.requests)
    with closing(RemoteFile(server.s3("a/x.bin"))) as again:
        assert again.read(0, len(CONTENT)) == CONTENT
    assert len(server.requests) == n_requests + 1


def test_two_that_are_open_share_what_either_fetches(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as one, closing(pickle.loads(pickle.dumps(one))) as other:
        one.read(2_000_000, 10)
        other.read(4_000_000, 10)
        n_requests = len(server.requests)
        assert other.read_unchecked(2_000_000, 10) == CONTENT[2_000_000:2_000_010]
        assert one.read_unchecked(4_000_000, 10) == CONTENT[4_000_000:4_000_010]
        assert len(server.requests) == n_requests


def test_an_empty_object_is_empty(server):
    server.objects["empty"] = b""
    with closing(RemoteFile(server.s3("empty"))) as file:
        assert file.size == 0
        assert file.read(0, 10) == b""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the system has no fork")
def test_a_forked_child_is_refused_at_once_and_told_what_to_do(server):
    context = multiprocessing.get_context("fork")
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        results = context.SimpleQueue()
        child = context.Process(target=_read_in_child, args=(file, results), daemon=True)
        child.start()
        kind, text = results.get()
        child.join()
    assert kind is LoaderError
    assert "num_workers=0" in text
    assert "spawn" in text


def _read_in_child(file, results):
    try:
        file.read(2_000_000, 10)
        results.put((None, ""))
    except ScDatasetError as error:
        results.put((type(error), str(error)))


def test_bytes_that_a_parent_cached_are_read_in_a_forked_child_without_requests(server):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(2_000_000, 10)
        child = os.fork()
        if child == 0:
            os._exit(0 if file.read_unchecked(2_000_000, 10) == CONTENT[2_000_000:2_000_010] else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_lets_go_of_what_its_parent_has_open(server):
    file = RemoteFile(server.s3("a/x.bin"))
    file.announce(np.array([2_000_000]), np.array([3_000_000]))
    stream = file.stream()
    child = os.fork()
    if child == 0:
        stream.close()
        file.close()
        del file, stream
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with closing(file), closing(stream):
        assert file.read(2_000_000, 3_000_000) == CONTENT[2_000_000:5_000_000]
