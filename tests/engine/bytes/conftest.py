"""A server of objects on this machine, and a cache of its own."""

import pytest
from tests.engine.bytes.objects import CONTENT


@pytest.fixture
def server(tmp_path, monkeypatch):
    from scdataset.engine.bytes.object_store import using_options
    from scdataset.testing.object_server import ObjectServer

    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    with ObjectServer({"a/x.bin": CONTENT}) as server, using_options(server.options):
        yield server
