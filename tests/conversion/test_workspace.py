"""Conversions that end at any moment go on, and give the same bytes."""

import errno
import os
import subprocess
import sys
import zlib
from pathlib import Path

import anndata
import numpy as np
import pytest
import zarr

from scdataset import (
    ArgumentValueError,
    CollectionChangedError,
    DamagedFileError,
    OutputError,
    convert,
    open_collection,
)
from scdataset.conversion import matrices
from scdataset.conversion.workspace import Workspace

SMALL = {"chunk_size": 1024, "shard_size": 2048, "progress": False, "shuffle": True, "obs": ["text"]}


SLOW = [
    f"{moment}-{number}" for moment in ("before", "after") for number in range(4) if (moment, number) != ("after", 1)
]


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def expected(path, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "a.zarr"
    convert(path, out, **SMALL)
    return content(out)


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


def counted(self, matrix, number):
    die("before", step["before"])
    note(self, matrix, number)
    die("after", step["before"])
    step["before"] += 1


Workspace.note = counted
convert(source, out, chunk_size=1024, shard_size=2048, progress=False, shuffle=True, obs=["text"])
"""


@pytest.mark.parametrize("where", ["after-1", *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)])
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

    def stop(self, matrix, number):
        written.append((matrix.name, number))
        if len(written) % 2:
            note(self, matrix, number)
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


@pytest.fixture
def interrupted(path, tmp_path, monkeypatch):
    """A conversion that ended after its first shard."""
    note = Workspace.note

    def stop(self, matrix, number):
        note(self, matrix, number)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "note", stop)
        with pytest.raises(KeyboardInterrupt):
            convert(path, tmp_path / "a.zarr", **SMALL)
    return tmp_path / "a.zarr"


def test_what_is_not_finished_is_no_store(interrupted):
    folder = interrupted.with_name("a.zarr.conversion")
    assert not interrupted.exists()
    for wrong in (interrupted, folder, folder.parent):
        with pytest.raises(ArgumentValueError):
            open_collection(wrong)


@pytest.mark.parametrize("other", [{"seed": 5}, {"obs": ["flag"]}, {"genes": ["gene1"]}, {"chunk_size": 2048}])
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


def test_a_source_that_changes_meanwhile_is_an_error(path, tmp_path, monkeypatch):
    read = matrices.ShardWriter.sample

    def with_other_rows(self, start, stop):
        self.pointers[1] += 1
        return read(self, start, stop)

    monkeypatch.setattr(matrices.ShardWriter, "sample", with_other_rows)
    with pytest.raises(CollectionChangedError, match="do not change the source"):
        convert(path, tmp_path / "a.zarr", **SMALL)


def test_a_disk_that_fills_up_keeps_what_was_written(path, tmp_path, expected, monkeypatch):
    write, written = matrices.ShardWriter.write, []

    def full(self, number, shard):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, number, shard)
        written.append(number)

    with monkeypatch.context() as patch:
        patch.setattr(matrices.ShardWriter, "write", full)
        with pytest.raises(OutputError, match=r"is full .*What was written is kept: make space"):
            convert(path, tmp_path / "a.zarr", **SMALL)
    again = []
    monkeypatch.setattr(matrices.ShardWriter, "write", lambda *args: (again.append(1), write(*args)))
    convert(path, tmp_path / "a.zarr", **SMALL)
    assert content(tmp_path / "a.zarr") == expected
    assert len(again) == len([key for key in expected if key.startswith("X/data/c")]) - 2


def test_a_disk_without_room_is_told_first(path, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("scdataset.conversion.space.shutil.disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match=r"has 1e\+03 free"):
        convert(path, tmp_path / "a.zarr", **SMALL)


def test_two_processes_do_not_write_one_store(path, tmp_path):
    with Workspace.opened(tmp_path / "a.zarr"), pytest.raises(OutputError, match="Another process"):
        convert(path, tmp_path / "a.zarr")


@pytest.mark.parametrize("where", ["X/data/c/1", "X/indices/c/1"])
def test_verifying_finds_a_shard_that_differs(path, tmp_path, expected, monkeypatch, where):
    note = Workspace.note

    def damaging(self, matrix, number):
        note(self, matrix, number)
        if (matrix.name, number) == ("X", 1):
            content = bytearray((self.store / where).read_bytes())
            content[len(content) // 2] ^= 1
            (self.store / where).write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "note", damaging)
        with pytest.raises(DamagedFileError, match="Shard 1 of X"):
            convert(path, tmp_path / "a.zarr", verify=True, **SMALL)
    assert not (tmp_path / "a.zarr").exists()
    convert(path, tmp_path / "a.zarr", verify=True, **SMALL)
    assert content(tmp_path / "a.zarr") == expected


def test_verifying_finds_values_that_were_wrong_before_they_were_written(path, tmp_path, monkeypatch):
    write = matrices.ShardWriter.write
    monkeypatch.setattr(
        matrices.ShardWriter,
        "write",
        lambda self, number, shard: write(self, number, tuple(np.roll(a, 1) for a in shard)),
    )
    with pytest.raises(DamagedFileError, match=r"Shard 0 of X .*differs from the source"):
        convert(path, tmp_path / "a.zarr", verify=True, **SMALL)


def test_the_checksums_in_the_store_are_those_of_its_files(path, tmp_path):
    convert(path, tmp_path / "a.zarr", **SMALL)
    sums = zarr.open_group(tmp_path / "a.zarr", mode="r").attrs["scdataset"]["crc32"]
    for array, listed in sums.items():
        files = [tmp_path / "a.zarr" / array / "c" / str(number) for number in range(len(listed))]
        assert [f"{zlib.crc32(file.read_bytes()):08x}" for file in files] == listed
    assert anndata.read_zarr(tmp_path / "a.zarr").shape == (600, 40)
