"""Objects of a store, read from a server of this machine that has the faults of real ones."""

import errno
import itertools
import multiprocessing
import os
import pickle
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("obstore")

from scdataset.engine.bytes import remote, sparse_file
from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.bytes.sparse_file import BLOCK
from scdataset.errors import (
    ArgumentValueError,
    CacheError,
    DamagedFileError,
    LoaderError,
    MissingFileError,
    ScDatasetError,
    UnreachableStoreError,
    UnreadableFileError,
)
from scdataset.testing.byte_sources import ByteSourceTests
from scdataset.testing.object_server import Fault, ObjectServer

CONTENT = np.random.default_rng(0).integers(0, 256, 5_000_000, np.uint8).tobytes()


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def server():
    with ObjectServer({"a/x.bin": CONTENT}) as server, using_options(server.options):
        yield server


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


def test_damage_of_the_cache_is_fetched_again(server, tmp_path):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(0, len(CONTENT))
    [cached] = (tmp_path / "cache/objects").iterdir()
    with cached.open("r+b") as stored:
        stored.seek(3 * BLOCK + 5)
        stored.write(b"no such bytes")
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert file.read(0, len(CONTENT)) == CONTENT


def test_a_cached_file_that_was_cut_short_is_begun_anew(server, tmp_path):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(0, len(CONTENT))
    [cached] = (tmp_path / "cache/objects").iterdir()
    os.truncate(cached, 1_000_000)
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert file.read(0, len(CONTENT)) == CONTENT


def taken(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def test_the_cache_is_bounded_and_what_was_used_last_stays(server, tmp_path, monkeypatch):
    most = 16_000_000
    monkeypatch.setenv("SCDATASET_OBJECTS_GIB", str(most / 2**30))
    server.objects = {f"{number}.bin": CONTENT[number:] for number in range(8)}
    for name, content in server.objects.items():
        with closing(RemoteFile(server.s3(name))) as file:
            assert file.read(0, len(content)) == content
    assert taken(tmp_path / "cache/objects") <= most + most // 16
    n_requests = len(server.requests)
    with closing(RemoteFile(server.s3("7.bin"))) as file:
        file.read(0, 1 << 23)
    assert len(server.requests) == n_requests + 1


def test_an_object_longer_than_the_cache_is_read_all_the_same(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_OBJECTS_GIB", str(2_000_000 / 2**30))
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        for start in range(0, len(CONTENT), 300_000):
            assert file.read(start, 300_000) == CONTENT[start : start + 300_000]
        assert taken(tmp_path / "cache/objects") <= 2_200_000


def test_a_cached_file_that_another_process_removes_is_read_on_and_begun_anew(server, tmp_path):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(0, 2_000_000)
        with file.ready(np.array([100]), np.array([50])) as descriptor:
            for path in (tmp_path / "cache/objects").iterdir():
                path.unlink()
            assert file.read(100, 50) == CONTENT[100:150]
            assert os.pread(descriptor, 50, 100) == CONTENT[100:150]
        assert file.read(0, len(CONTENT)) == CONTENT


def test_no_other_file_is_taken_for_one_that_was_removed_while_it_was_closed(server, tmp_path):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(0, 3_000_000)
        file._process.file(file).close()
        for path in (tmp_path / "cache/objects").iterdir():
            path.unlink()
        with closing(RemoteFile(server.s3("a/x.bin"))):
            assert file.read(0, 3_000_000) == CONTENT[:3_000_000]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(503), UnreachableStoreError, "503"),
        (Fault(500), UnreachableStoreError, "500"),
        (Fault(cut=100), UnreachableStoreError, "x.bin"),
        (Fault(403), UnreadableFileError, "anonymous"),
        (Fault(401), UnreadableFileError, "renew them"),
        (Fault(404), DamagedFileError, "has vanished"),
        (Fault(412), DamagedFileError, "was replaced"),
    ],
)
def test_faults_of_the_store_are_typed_and_pass(server, fault, error, words):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        server.fault = lambda _number, _request: fault
        with pytest.raises(error, match=words) as caught:
            file.read(2_000_000, 10)
        assert "s3://bucket/a/x.bin" in str(caught.value)
        server.fault = lambda _number, _request: None
        assert file.read(2_000_000, 10) == CONTENT[2_000_000:2_000_010]


def test_requests_are_retried(server):
    with using_options({**server.options, "retry_config": {"max_retries": 2}}):
        server.fault = lambda number, _request: Fault(503) if number % 2 == 0 else None
        with closing(RemoteFile(server.s3("a/x.bin"))) as file:
            assert file.read(2_000_000, 10) == CONTENT[2_000_000:2_000_010]


def test_an_object_that_is_not_there_is_told_with_those_that_are_near(server):
    with pytest.raises(MissingFileError, match=r"s3://bucket/a/y.bin does not exist. Did you mean 'x.bin'"):
        RemoteFile(server.s3("a/y.bin"))
    with pytest.raises(MissingFileError, match="there is nothing in s3://bucket/b"):
        RemoteFile(server.s3("b/y.bin"))
    with pytest.raises(MissingFileError, match="does not exist"):
        RemoteFile(server.http("a/y.bin"))


@pytest.mark.parametrize("url", ["ftp://host/x.h5ad", "s4://bucket/x.h5ad", "s3:///x.h5ad"])
def test_a_url_that_nobody_knows_is_refused(url):
    with pytest.raises(ArgumentValueError, match=url.partition(":")[0]):
        RemoteFile(url)


def test_a_store_that_is_not_there_is_told(server):
    with (
        using_options({**server.options, "endpoint": "http://127.0.0.1:9"}),
        pytest.raises(UnreachableStoreError, match=r"s3://bucket/a/x\.bin cannot be read"),
    ):
        RemoteFile(server.s3("a/x.bin"))


def test_an_option_that_nobody_knows_is_told(server):
    with using_options({**server.options, "no_such": "x"}), pytest.raises(ArgumentValueError, match="no_such"):
        RemoteFile(server.s3("a/x.bin"))


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


def test_a_disk_that_is_full_is_told(server, monkeypatch):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(sparse_file, "_write_all", full)
        with pytest.raises(CacheError, match="SCDATASET_OBJECTS_GIB"):
            file.read(2_000_000, 10)


def test_a_cache_folder_that_cannot_be_written_does_not_matter(server, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "file"))
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert file.read(0, len(CONTENT)) == CONTENT
