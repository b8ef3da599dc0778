"""The keys of zarr stores in object stores: as listed, and on hosts that list nothing."""

import json
import pickle
from concurrent.futures import wait
from contextlib import closing

import pytest

pytest.importorskip("obstore")

from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.containers.zarr_objects import HostKeys, ObjectKeys
from scdataset.errors import DamagedFileError, MissingFileError
from scdataset.testing.object_server import ObjectServer

METADATA = {"zarr_format": 3, "node_type": "group"}


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path))
    inside = {"X": METADATA, "X/data": {**METADATA, "node_type": "array"}}
    objects = {f"a.zarr/{name}/zarr.json": json.dumps(content).encode() for name, content in inside.items()}
    root = {**METADATA, "consolidated_metadata": {"metadata": inside}}
    objects |= {"a.zarr/zarr.json": json.dumps(root).encode(), "a.zarr/X/data/c/0": b"abc"}
    with ObjectServer(objects) as server, using_options(server.options):
        yield server


def test_keys_of_a_bucket_are_listed_once(server):
    with closing(ObjectKeys(server.s3("a.zarr"))) as keys:
        assert sorted(keys.listed) == ["X/data/c/0", "X/data/zarr.json", "X/zarr.json", "zarr.json"]
        n_requests = len(server.requests)
        assert keys.find("X/data/c/1") is None
        assert len(server.requests) == n_requests
        assert keys.find("X/data/c/0").read() == b"abc"


def test_keys_of_a_host_are_those_of_its_metadata_and_chunks_that_are_there(server):
    with closing(HostKeys(server.http("a.zarr"))) as keys:
        assert sorted(keys.listed) == ["X/data/zarr.json", "X/zarr.json", "zarr.json"]
        assert keys.find("X/data/c/0").read() == b"abc"
        assert keys.find("X/indices/zarr.json") is None
        assert keys.metadata("X/data")[1]["node_type"] == "array"


def test_a_chunk_that_a_host_does_not_have_is_asked_for_once(server):
    with closing(HostKeys(server.http("a.zarr"))) as keys:
        n_requests = len(server.requests)
        wait(keys.request(["X/data/c/0", "X/data/c/1"]))
        assert len(server.requests) == n_requests + 2
        assert keys.find("X/data/c/1") is None
        assert keys.find("X/data/c/0").read() == b"abc"
        assert len(server.requests) == n_requests + 2


@pytest.mark.parametrize("of_host", [False, True])
def test_keys_are_pickled_while_a_thread_finds_others(server, tmp_path, monkeypatch, of_host):
    server.objects["a.zarr/X/data/c/1"] = b"de"
    with closing(HostKeys(server.http("a.zarr")) if of_host else ObjectKeys(server.s3("a.zarr"))) as keys:
        keys.find("X/data/c/0")
        state = RemoteFile.__getstate__

        def found_meanwhile(file):
            keys.find("X/data/c/1")
            return state(file)

        monkeypatch.setattr(RemoteFile, "__getstate__", found_meanwhile)
        copied = pickle.dumps(keys)
    server.objects["a.zarr/X/data/c/0"] = b"cba"
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "other"))
    with closing(pickle.loads(copied)) as keys:
        with pytest.raises(DamagedFileError, match="replaced"):  # it has to be the version that was found
            keys.find("X/data/c/0").read()
        assert keys.find("X/data/c/1").read() == b"de"


def test_a_store_of_which_a_bucket_has_no_keys_is_not_there(server):
    with pytest.raises(MissingFileError, match=r"Did you mean 'a\.zarr'"):
        ObjectKeys(server.s3("b.zarr"))
