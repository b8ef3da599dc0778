"""Conversions to and from object stores."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest
from tests.conversion.stores import SMALL, same_matrix

pytest.importorskip("obstore")
from scdataset import ArgumentValueError, CellCollection, ExistingFileError, MissingFileError, convert, open_collection
from scdataset.conversion.destination import Destination
from scdataset.conversion.progress import no_bar
from scdataset.conversion.workspace import Workspace
from scdataset.engine.bytes.object_store import Bucket
from scdataset.errors import DamagedFileError, UnreachableStoreError, UnreadableFileError
from scdataset.testing.object_server import Fault, ObjectServer

OUT = "s3://bucket/made/a.zarr"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    with ObjectServer() as server:
        yield server


def stored(server):
    return {key.removeprefix("made/a.zarr/"): value for key, value in sorted(server.objects.items())}


def put(server, path, **others):
    return convert(path, OUT, storage_options=server.options, **{**SMALL, **others})


class Stopped(BaseException):
    """As a signal would end it."""


def test_a_store_in_a_bucket_has_the_bytes_of_one_on_a_disk(adata, path, server, expected, tmp_path):
    found = put(server, path, verify=True)
    assert stored(server) == expected
    keys = [request.key for request in server.requests if request.method == "PUT"]
    assert keys.index("made/a.zarr/zarr.json") == len(keys) - 1
    assert (found.path, found.n_bytes) == (OUT, sum(map(len, expected.values())))
    assert not list((tmp_path / "cache/conversions").iterdir())
    with open_collection(OUT, obs=["source_row"], storage_options=server.options) as cells:
        batch = cells[:]
    same_matrix(batch["X"], adata.X[batch["source_row"]])


@pytest.fixture
def made(expected, server):
    """A store that is complete on this machine, and its destination."""
    remote = Destination.from_url(OUT, server.options)
    space = Workspace(remote.local)
    space.folder.mkdir(parents=True)
    for key, value in expected.items():
        (space.out / key).parent.mkdir(parents=True, exist_ok=True)
        (space.out / key).write_bytes(value)
    return space, remote


def test_a_conversion_that_ends_at_any_object_goes_on_to_the_same_bytes(made, server, expected, monkeypatch):
    create, calls, done = Bucket.create, [], []

    def stop(self, key, value):
        calls.append(key)
        number = len(calls)
        if number % 7 == 3:
            raise Stopped
        version = create(self, key, value)
        if number % 7 == 5:
            raise Stopped  # the bucket has it, and nobody noted it
        done.append(key)
        return version

    monkeypatch.setattr(Bucket, "create", stop)
    space, remote = made
    while "zarr.json" not in stored(server):
        assert len(stored(server)) < len(expected)
        with suppress(Stopped):
            remote.put(space, no_bar)
    assert len(calls) > len(expected) + 10
    assert stored(server) == expected
    assert len(done) == len(set(done)) >= len(expected) - 1  # those that were noted are not put again


KILLED = """
import os, signal, sys
from scdataset import convert
from scdataset.engine.bytes.object_store import Bucket

source, out, endpoint, at = sys.argv[1:]
create, calls = Bucket.create, []


def counted(self, key, content):
    calls.append(key)
    if len(calls) == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    return create(self, key, content)


Bucket.create = counted
options = {"endpoint": endpoint, "region": "us-east-1", "anonymous": True}
given = dict(chunk_size=1024, shard_size=2048, progress=False, shuffle=True, obs=["text"])
convert(source, out, storage_options=options, **given)
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 9, 20])
def test_a_killed_conversion_goes_on_to_the_same_bytes(path, server, expected, at):
    command = [sys.executable, "-c", KILLED, str(path), OUT, server.endpoint, str(at)]
    assert subprocess.run(command, check=False, env=dict(os.environ)).returncode == -9
    assert "zarr.json" not in stored(server)
    convert(path, OUT, storage_options={**server.options}, **SMALL)
    assert stored(server) == expected


def test_objects_of_others_are_not_written_over(path, server, tmp_path):
    server.objects["made/a.zarr/zarr.json"] = b"mine"
    with pytest.raises(ExistingFileError, match=r"s3://bucket/made/a\.zarr/zarr\.json is there already"):
        put(server, path)
    assert server.objects == {"made/a.zarr/zarr.json": b"mine"}
    assert not list((tmp_path / "cache/conversions").iterdir())


def test_a_store_is_not_completed_beside_objects_of_others(made, server):
    server.objects["made/a.zarr/X/other"] = b"mine"
    space, remote = made
    with pytest.raises(ExistingFileError, match=r"X/other is there already"):
        remote.put(space, no_bar)
    assert list(server.objects) == ["made/a.zarr/X/other"]


def test_an_object_that_another_puts_meanwhile_is_not_written_over(path, server):
    def rival():
        server.objects["made/a.zarr/X/zarr.json"] = b"mine"

    server.fault = lambda _number, request: Fault(before=rival) if request.key.endswith("X/zarr.json") else None
    with pytest.raises(ExistingFileError, match=r"X/zarr\.json is there already, and not of this conversion"):
        put(server, path)
    assert server.objects["made/a.zarr/X/zarr.json"] == b"mine"
    assert "zarr.json" not in stored(server)


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [(503, UnreachableStoreError, "cannot be written"), (403, UnreadableFileError, "may not be written")],
)
def test_a_store_that_refuses_is_told_and_gets_the_rest_later(path, server, expected, fault, error, told):
    server.fault = lambda number, request: Fault(fault) if request.method == "PUT" and number > 12 else None
    with pytest.raises(error, match=told):
        put(server, path)
    assert "zarr.json" not in stored(server)
    server.fault = lambda _number, _request: None
    put(server, path)
    assert stored(server) == expected


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("s3://bucket/a", r"end in \.zarr"),
        ("s3://bucket/.zarr", r"^out='s3://bucket/\.zarr' has to end"),
        ("https://host/a.zarr", "takes no objects"),
        ("s4://b/a.zarr", "s4"),
    ],
)
def test_a_url_that_takes_no_store_is_refused(path, out, told):
    with pytest.raises(ArgumentValueError, match=told):
        convert(path, out)


def test_cells_of_a_bucket_are_converted_and_secrets_are_not_kept(adata, path, server, tmp_path, monkeypatch):
    server.objects["cells.h5ad"] = path.read_bytes()
    options = {**SMALL, "storage_options": {**server.options, "access_key_id": "key", "secret_access_key": "hidden"}}
    with monkeypatch.context() as patch:
        patch.setattr("scdataset.conversion.workspace.Workspace.note", lambda *_: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            convert(server.s3("cells.h5ad"), tmp_path / "a.zarr", **options)
    assert not [file for file in tmp_path.rglob("*.json*") if b"hidden" in file.read_bytes()]
    server.objects["cells.h5ad"] = path.read_bytes() + b" "
    with pytest.raises(ArgumentValueError, match="other files"):
        convert(server.s3("cells.h5ad"), tmp_path / "a.zarr", **options)
    server.objects["cells.h5ad"] = path.read_bytes()
    announced, announce = [], CellCollection.announce
    monkeypatch.setattr(
        CellCollection, "announce", lambda self, rows, names: (announced.extend(rows), announce(self, rows, names))
    )
    assert convert(server.s3("cells.h5ad"), tmp_path / "a.zarr", **options).shape == adata.shape
    assert set(announced) == set(range(len(adata)))


@pytest.mark.filterwarnings("ignore")
def test_s3_takes_a_store(path, tmp_path, monkeypatch, expected, s3):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    out = f"{s3.url}/made/a.zarr"
    convert(path, out, storage_options=s3.options, **SMALL)
    keys = [one["Key"] for one in s3.client.list_objects_v2(Bucket=s3.name)["Contents"]]
    got = {key: s3.client.get_object(Bucket=s3.name, Key=key)["Body"].read() for key in keys}
    assert {key.removeprefix("made/a.zarr/"): value for key, value in got.items()} == expected
    with pytest.raises(ExistingFileError, match="is there already"):
        convert(path, out, storage_options=s3.options, **SMALL)
    with pytest.raises(MissingFileError, match="there is no s3://nobucket"):
        convert(path, "s3://nobucket/a.zarr", storage_options=s3.options, **SMALL)


def test_a_store_that_was_complete_before_it_was_put_is_verified_when_that_is_asked_for_later(path, server, tmp_path):
    server.fault = lambda _number, request: Fault(503) if request.method == "PUT" else None
    with pytest.raises(UnreachableStoreError):
        put(server, path)
    server.fault = lambda _number, _request: None
    [shard] = (tmp_path / "cache" / "conversions").glob("*/a.zarr/X/data/c/0")
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedFileError, match=r"Shard 0 of X in .*a\.zarr differs from the source\. Remove .*a\.zarr"):
        put(server, path, verify=True)
    assert not server.objects
    shard.write_bytes(content)
    assert put(server, path, verify=True).path == OUT


def test_a_collection_is_put_into_its_own_place_or_another(path, server):
    with open_collection(path) as cells:
        assert convert(cells, OUT, storage_options=server.options, **SMALL).path == OUT
    server.objects["cells.h5ad"] = path.read_bytes()
    with open_collection(server.s3("cells.h5ad"), storage_options=server.options) as cells:
        assert convert(cells, server.s3("b.zarr"), **SMALL).shape == cells.shape
        with ObjectServer() as another:
            convert(cells, another.s3("b.zarr"), storage_options=another.options, **SMALL)
            assert "b.zarr/zarr.json" in another.objects


def test_an_object_of_the_name_of_the_store_is_in_the_way_and_the_mark_of_a_folder_is_not(path, server):
    server.objects["made/a.zarr"] = b"another"
    with pytest.raises(ExistingFileError, match=r"s3://bucket/made/a\.zarr is there already"):
        put(server, path)
    del server.objects["made/a.zarr"]
    server.objects["made/a.zarr/"] = b""
    assert put(server, path).path == OUT
