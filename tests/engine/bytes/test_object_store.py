"""Requests to a store: faults are typed, retried and told."""

from contextlib import closing

import pytest
from tests.engine.bytes.objects import CONTENT

pytest.importorskip("obstore")
from scdataset.engine.bytes.object_store import using_options
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
