"""Requests to a store: faults are typed, retried and told."""

import signal
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.engine.bytes.objects import CONTENT

pytest.importorskip("obstore")
from scdataset.engine.bytes.object_store import Bucket, Location, using_options
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.errors import (
    ArgumentValueError,
    DamagedFileError,
    MissingFileError,
    UnreachableStoreError,
    UnreadableFileError,
)
from scdataset.testing.object_server import Fault


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


@pytest.mark.parametrize("key", ["a//b.h5ad", "a/../b.h5ad", "a/b.h5ad\n", "a/\0b.h5ad"])
def test_a_key_that_no_request_can_have_is_told(server, key):
    with pytest.raises(ArgumentValueError, match="has a key that cannot be asked for"):
        RemoteFile(server.s3(key))


def test_a_folder_with_such_a_key_is_told(server):
    server.objects["a//b.h5ad"] = b""
    bucket = RemoteFile(server.s3("a/x.bin"))._bucket
    with pytest.raises(UnreadableFileError, match=r"s3://bucket/a cannot be listed, .*Give a list of URLs"):
        bucket.entries("a")


@pytest.mark.parametrize("host", ["bu ck", "b*", "b?c"])
def test_what_is_no_name_of_a_bucket_is_told(host):
    with pytest.raises(ArgumentValueError, match="for a bucket or host, which is no name of one"):
        Location.from_url(f"s3://{host}/a.h5ad")


def test_values_of_options_of_wrong_types_are_not_shown(server):
    with using_options({**server.options, "secret_access_key": "hush", "region": {1}}):
        with pytest.raises(ArgumentValueError, match="'region': <class 'set'>") as caught:
            RemoteFile(server.s3("a/x.bin"))
        assert "hush" not in str(caught.value)


def test_an_object_is_found_or_not_by_one_request(server):
    bucket = RemoteFile(server.s3("a/x.bin"))._bucket
    server.requests.clear()
    assert bucket.find("a/x.bin").size == len(CONTENT)
    assert bucket.find("a/y.bin") is None
    assert [request.method for request in server.requests] == ["HEAD", "HEAD"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": [1]},
        {"endpoint": "127.0.0.1:9"},
        {"client_options": "x"},
        {"client_options": {"timeout": 5}},
        {"retry_config": 3},
        {"retry_config": {"retry_timeout": "a"}},
    ],
)
def test_options_of_wrong_types_are_told(server, wrong):
    with using_options({**server.options, **wrong}), pytest.raises(ArgumentValueError, match=next(iter(wrong))):
        RemoteFile(server.s3("a/x.bin"))


def test_options_that_are_none_are_left_out(server):
    with using_options({**server.options, "session_token": None}), closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert file.size == len(CONTENT)


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


@pytest.fixture
def bucket(s3, monkeypatch):
    """Make a bucket of one object, reached by settings and credentials of the environment."""
    s3.client.put_object(Bucket=s3.name, Key="a/x.bin", Body=CONTENT)
    for name, value in {**s3.options, "allow_http": "true"}.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    with using_options({"retry_config": {"max_retries": 0}}):
        yield s3


@pytest.mark.filterwarnings("ignore")
def test_what_s3_says_is_understood(bucket):
    with closing(RemoteFile(f"{bucket.url}/a/x.bin")) as file:
        assert file.read(2_000_000, 100_000) == CONTENT[2_000_000:2_100_000]
        folders, objects = file._bucket.entries("")
        assert (folders, list(objects)) == (["a"], [])
        assert file._bucket.walk("a")["a/x.bin"].size == len(CONTENT)
        bucket.client.put_object(Bucket=bucket.name, Key="a/x.bin", Body=CONTENT[::-1])
        with pytest.raises(DamagedFileError, match="was replaced"):
            file.read_unchecked(4_000_000, 10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("url", ["{url}/a/y.bin", "s3://nobucket/a/x.bin"])
def test_what_s3_lacks_is_told(bucket, url):
    url = url.format(url=bucket.url)
    with pytest.raises(MissingFileError, match=url):
        RemoteFile(url)


@pytest.mark.filterwarnings("ignore")
def test_a_bucket_that_is_not_there_is_not_listed(bucket):
    with pytest.raises(MissingFileError, match="there is no s3://nobucket"):
        Bucket.from_location(Location.from_url("s3://nobucket/a")).entries("a")


def test_secrets_are_not_shown():
    with using_options({"secret_access_key": "hidden"}):
        assert "hidden" not in repr(Bucket.from_location(Location.from_url("s3://bucket/a")))


def test_a_store_that_is_too_slow_is_told(server):
    with using_options({**server.options, "client_options": {"timeout": "50ms"}}):
        server.latency = 0.5
        with pytest.raises(UnreachableStoreError, match=r"s3://bucket/a/x\.bin cannot be read"):
            RemoteFile(server.s3("a/x.bin"))


@pytest.mark.parametrize(
    ("path", "key"),
    [("a%20b.h5ad", "a b.h5ad"), ("a b.h5ad", "a b.h5ad"), ("%C3%A9.h5ad", "é.h5ad"), ("50%25.h5ad", "50%.h5ad")],
)
def test_urls_of_hosts_are_encoded_as_those_of_the_web_and_keys_of_buckets_are_not(server, path, key):
    location = Location.from_url(server.http(path))
    assert location.key == f"bucket/{key}"
    assert Location.from_url(Bucket.from_location(location).url(location.key)) == location
    server.objects[key] = b"there"
    with closing(RemoteFile(server.http(path))) as file:
        assert file.read(0, 5) == b"there"
    assert Location.from_url(server.s3(path)).key == path


def test_a_host_that_refuses_is_given_headers(server):
    server.fault = lambda _number, _request: Fault(401)
    with pytest.raises(UnreadableFileError, match=r"may not be read: .*default_headers"):
        RemoteFile(server.http("a/x.bin"))


def test_a_host_that_sends_whole_files_alone_is_told():
    class Whole(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Log in</html>")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Whole) as host:
        threading.Thread(target=host.handle_request).start()
        with pytest.raises(UnreadableFileError, match=r"is not sent in parts: .*Copy it to a disk"):
            RemoteFile(f"http://127.0.0.1:{host.server_port}/a.h5ad")


def test_a_request_of_the_main_thread_is_interrupted(server):
    gate, answered = threading.Event(), threading.Event()

    def interrupt():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        gate.wait(30)
        answered.set()

    server.fault = lambda _number, _request: Fault(before=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            RemoteFile(server.s3("a/x.bin"))
        assert not answered.is_set()
    finally:
        gate.set()
