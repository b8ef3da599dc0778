"""A server of objects with faults."""

import urllib.error
import urllib.request

import pytest

from scdataset.testing.object_server import Fault, ObjectServer

CONTENT = bytes(range(200))


@pytest.fixture
def server():
    with ObjectServer({"a/x.bin": CONTENT}) as server:
        yield server


def get(server, key="a/x.bin", **headers):
    request = urllib.request.Request(server.http(key), headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.status, answer.headers, answer.read()


def test_objects_and_ranges_of_them_are_given(server):
    status, headers, content = get(server)
    assert (status, content) == (200, CONTENT)
    assert headers["ETag"] == server.etag("a/x.bin")
    status, headers, content = get(server, Range="bytes=10-19")
    assert (status, content) == (206, CONTENT[10:20])
    assert headers["Content-Range"] == "bytes 10-19/200"
    assert len(server.requests) == 2


def test_another_content_has_another_etag(server):
    before = server.etag("a/x.bin")
    server.objects["a/x.bin"] = CONTENT[::-1]
    assert server.etag("a/x.bin") != before
    with pytest.raises(urllib.error.HTTPError, match="412"):
        get(server, **{"If-Match": before})


def test_an_object_that_is_not_there_is_404(server):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(server, "a/y.bin")


def test_faults_are_those_of_the_request(server):
    server.fault = lambda number, _: Fault(status=503) if number == 0 else None
    with pytest.raises(urllib.error.HTTPError, match="503"):
        get(server)
    assert get(server)[2] == CONTENT
