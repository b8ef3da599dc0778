"""Conversions that end at any moment go on, and give the same bytes."""

import os
import subprocess
import sys
import zlib

import anndata
import pytest
import zarr
from tests.conversion.stores import SMALL, content
from tests.examples import rare

from scdataset import ArgumentValueError, OutputError, convert, open_collection
from scdataset.conversion.workspace import Workspace

KILLS = ["before-0", "after-1", "before-2", "after-3"]


KILLED = """
import os, signal, sys, time
import scdataset
from scdataset import convert
from scdataset.conversion.workspace import Workspace

source, out, where = sys.argv[1:]
note, step = Workspace.note, {"before": 0, "after": 0}


def die(moment, number):
    if (moment, number) == (where.split("-")[0], int(where.split("-")[1])):
        os.kill(os.getpid(), signal.SIGKILL)


def counted(self, matrix, number, stored):
    die("before", step["before"])
    note(self, matrix, number, stored)
    die("after", step["before"])
    step["before"] += 1


Workspace.note = counted
convert(source, out, chunk_size=1024, shard_size=2048, progress=False, shuffle=True, obs=["text"])
"""


@pytest.mark.parametrize("where", rare(*KILLS))
def test_a_killed_conversion_goes_on_to_the_same_bytes(path, tmp_path, expected, where):
    out = tmp_path / "a.zarr"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(out), where], check=False)
    assert killed.returncode == -9
    assert not out.exists()
    convert(path, out, **SMALL)
    assert content(out) == expected
    assert not (tmp_path / "a.zarr.conversion").exists()


class Stopped(BaseException):
    """As a signal would end it."""


def test_a_conversion_that_ends_at_any_shard_goes_on_to_the_same_bytes(path, tmp_path, expected, monkeypatch):
    out, note, written = tmp_path / "a.zarr", Workspace.note, []

    def stop(self, matrix, number, stored):
        written.append((matrix.name, number))
        if len(written) % 2:
            note(self, matrix, number, stored)
        raise Stopped

    monkeypatch.setattr(Workspace, "note", stop)
    stops = 0
    while not out.exists():
        try:
            convert(path, out, **SMALL)
        except Stopped:
            stops += 1
            assert not out.exists()
    assert stops == len(written) >= 2 * len(set(written)) - 1
    assert content(out) == expected


def test_a_conversion_that_ends_once_the_store_has_its_name_is_finished(path, tmp_path, expected, monkeypatch):
    out = tmp_path / "a.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "clean_up", lambda _: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            convert(path, out, **SMALL)
    with pytest.raises(ArgumentValueError, match="other seed"):
        convert(path, out, **SMALL, seed=1)
    assert convert(path, out, **SMALL).shape == (600, 40)
    assert content(out) == expected
    assert not (tmp_path / "a.zarr.conversion").exists()


@pytest.mark.parametrize("left", ["X/data/c/0", "obs/text/codes/c/0"])
def test_half_written_files_are_replaced(path, tmp_path, expected, monkeypatch, left):
    out = tmp_path / "a.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "note", lambda *_: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            convert(path, out, **SMALL)
    store = tmp_path / "a.zarr.conversion/store"
    (store / left).with_name("0.1234.partial").write_bytes(b"half")
    if left.startswith("X"):
        (store / left).write_bytes(b"half")
    with (tmp_path / "a.zarr.conversion/shards.jsonl").open("a") as journal:
        journal.write('\n["X", 0, {"X/data/c/0": [4')
    convert(path, out, **SMALL)
    assert content(out) == expected


def test_what_is_not_finished_is_no_store(interrupted):
    folder = interrupted.with_name("a.zarr.conversion")
    assert not interrupted.exists()
    for wrong in (interrupted, folder, folder.parent):
        with pytest.raises(ArgumentValueError):
            open_collection(wrong)


@pytest.mark.parametrize("other", [{"seed": 5}, {"chunk_size": 2048}, *rare({"obs": ["flag"]}, {"genes": ["gene1"]})])
def test_an_interrupted_conversion_is_continued_with_the_same_arguments_alone(path, interrupted, other):
    with pytest.raises(ArgumentValueError, match="remove the folder to begin again"):
        convert(path, interrupted, **{**SMALL, **other})


def test_a_source_that_was_written_again_is_not_continued(adata, path, interrupted, tmp_path):
    changed = tmp_path / "changed.h5ad"
    adata.copy().write_h5ad(changed)
    with pytest.raises(ArgumentValueError, match="other files"):
        convert(changed, interrupted, **SMALL)
    status = path.stat()
    os.utime(path)
    try:
        with pytest.raises(ArgumentValueError, match="files was"):
            convert(path, interrupted, **SMALL)
    finally:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_two_processes_do_not_write_one_store(path, tmp_path):
    with Workspace.opened(tmp_path / "a.zarr"), pytest.raises(OutputError, match="Another process"):
        convert(path, tmp_path / "a.zarr")


def test_the_checksums_in_the_store_are_those_of_its_files(path, tmp_path):
    convert(path, tmp_path / "a.zarr", obsm=[], **SMALL)
    sums = zarr.open_group(tmp_path / "a.zarr", mode="r").attrs["scdataset"]["crc32"]
    for array, listed in sums.items():
        files = [tmp_path / "a.zarr" / array / "c" / str(number) for number in range(len(listed))]
        assert [f"{zlib.crc32(file.read_bytes()):08x}" for file in files] == listed
    assert anndata.read_zarr(tmp_path / "a.zarr").shape == (600, 40)
