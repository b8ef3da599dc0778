"""The cache of a remote file: damaged, cut short, removed, bounded and full."""

import errno
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import numpy as np
import pytest
from tests.engine.bytes.objects import CONTENT

pytest.importorskip("obstore")
from scdataset.engine.bytes import sparse_file
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.bytes.sparse_file import BLOCK, SparseFile
from scdataset.errors import CacheError


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
    size = cached.stat().st_size
    os.truncate(cached, 1_000_000)
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert file.read(0, len(CONTENT)) == CONTENT
    assert cached.stat().st_size == size


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
    assert list((tmp_path / "cache/objects").iterdir())


def test_no_other_file_is_taken_for_one_that_was_removed_while_it_was_closed(server, tmp_path):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(0, 3_000_000)
        file._process.file(file).close()
        for path in (tmp_path / "cache/objects").iterdir():
            path.unlink()
        with closing(RemoteFile(server.s3("a/x.bin"))):
            assert file.read(0, 3_000_000) == CONTENT[:3_000_000]


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


def test_a_file_that_another_process_makes_first_is_opened(server, tmp_path, monkeypatch):
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        file.read(2_000_000, 10)
    found, opened = [], SparseFile._opened

    def later(file, path):
        found.append(path)
        return opened(file, path) if len(found) > 1 else None  # as if the other were a moment ahead

    monkeypatch.setattr(SparseFile, "_opened", later)
    n_requests = len(server.requests)
    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        assert file.read(2_000_000, 10) == CONTENT[2_000_000:2_000_010]
    assert len(server.requests) == n_requests + 1
    assert [path.name for path in (tmp_path / "cache/objects").iterdir()] == [found[0].name]


def test_a_file_is_begun_by_many_at_once_while_another_removes_it(server, tmp_path):
    done = threading.Event()

    def remove():
        while not done.is_set():
            for path in (tmp_path / "cache/objects").glob("*"):
                path.unlink(missing_ok=True)

    def read(file):
        with closing(file):
            return file.read(1_000, 50)

    with closing(RemoteFile(server.s3("a/x.bin"))) as file:
        copies = [pickle.loads(pickle.dumps(file)) for _ in range(100)]
    with ThreadPoolExecutor(5) as threads:
        removing = threads.submit(remove)
        reading = [threads.submit(read, file) for file in copies]
        wait(reading)
        done.set()
        removing.result()
    assert {future.result() for future in reading} == {CONTENT[1_000:1_050]}
