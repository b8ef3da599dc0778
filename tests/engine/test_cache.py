"""Tables of large files are kept, and whatever is wrong with what was kept, the file is read right."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.children import output_of
from tests.examples import examples

from scdataset.engine import cache, cache_table
from scdataset.engine.bytes import local
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import hdf5
from scdataset.engine.containers.hdf5 import H5File, csr_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads

EVERY = np.arange(100)
LAST_YEAR = 1_700_000_000 * 10**9


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Cache tables of the smallest files in a folder of the test's own."""
    monkeypatch.setattr(hdf5, "_MANY_CHUNKS", 1)
    monkeypatch.setattr(hdf5, "_MANY_ROWS", 1)
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tables"


def write(path, values=None, *, when=LAST_YEAR):
    with h5py.File(path, "w") as h5:
        data = np.arange(600, dtype="f4") if values is None else values
        h5.create_dataset("X/data", data=data, chunks=(50,), compression="gzip")
        h5.create_dataset("X/indices", data=np.arange(600) % 9, chunks=(70,))
        h5["X/indptr"] = np.arange(0, 601, 6)
    os.utime(path, ns=(when, when))
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "m.h5")


def read(path):
    return csr_matrix(H5File(str(path)), "X", (100, 9)).read(EVERY, ReadContext(Threads(1))).data


def right(path):
    with h5py.File(path) as h5:
        return h5["X/data"][:]


def tables(folder):
    return sorted(folder.glob("*")) if folder.exists() else []


def walks(monkeypatch):
    """Count from here on how often the chunks of an array, and row pointers, are looked at in the file itself."""
    seen = []
    chunks, rows = hdf5._chunk_table, hdf5.RowPointers.from_pieces
    monkeypatch.setattr(hdf5, "_chunk_table", lambda *given: seen.append("chunks") or chunks(*given))
    monkeypatch.setattr(hdf5.RowPointers, "from_pieces", lambda *given: seen.append("rows") or rows(*given))
    return seen


def test_the_second_opening_asks_the_library_for_nothing(folder, path, monkeypatch):
    seen = walks(monkeypatch)
    read(path)
    assert sorted(seen) == ["chunks", "chunks", "rows"]
    assert len(tables(folder)) == 3
    seen.clear()
    np.testing.assert_array_equal(read(path), right(path))
    assert seen == []


def test_the_fallback_makes_its_own(folder, path, monkeypatch):
    read(path)
    seen = walks(monkeypatch)
    csr_matrix(H5File(str(path)), "X", (100, 9), fallback=True)
    assert "rows" in seen


def test_tables_of_chunks_and_rows_come_back_as_they_were(folder, path):
    made = [csr_matrix(H5File(str(path)), "X", (100, 9)) for _ in range(2)]
    for one, other in zip(made[0].table.arrays, made[1].table.arrays, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    for one, other in zip(*(matrix.data._chunks._table.arrays for matrix in made), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_small_files_are_not_kept(path, tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))
    read(path)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("word", ["0", "off", "No"])
def test_it_can_be_switched_off(folder, path, monkeypatch, word):
    monkeypatch.setenv("SCDATASET_CACHE", word)
    np.testing.assert_array_equal(read(path), right(path))
    assert tables(folder) == []


def test_a_file_that_changed_just_now_is_not_kept(folder, path, monkeypatch):
    monkeypatch.setattr(local, "_SETTLED", time.time_ns())  # the last fifty years are just now
    read(path)
    assert tables(folder) == []


@pytest.mark.parametrize("when", [LAST_YEAR, LAST_YEAR + 1])
def test_a_file_that_was_replaced_gets_new_tables_in_place_of_the_old(folder, path, tmp_path, when):
    read(path)
    other = write(tmp_path / "other.h5", np.random.default_rng(0).random(600).astype("f4"), when=when)
    other.replace(path)
    np.testing.assert_array_equal(read(path), right(path))
    assert len(tables(folder)) == 3


def test_files_of_one_content_have_tables_of_their_own(folder, tmp_path):
    for name in ("a.h5", "b.h5"):
        path = write(tmp_path / name)
        np.testing.assert_array_equal(read(path), right(path))
    assert len(tables(folder)) == 6


def spoil(table, how, rng):
    stored = bytearray(table.read_bytes())
    if how == "cut":
        del stored[int(rng.integers(len(stored))) :]
    elif how == "flipped":
        stored[int(rng.integers(len(stored)))] ^= 1 << int(rng.integers(8))
    elif how == "longer":
        stored += rng.bytes(8)
    elif how == "noise":
        stored[:] = rng.bytes(len(stored))
    elif how == "empty":
        stored.clear()
    elif how == "of numpy":
        np.savez(table.with_suffix(".npz"), a=np.array([{}], object))
        stored[:] = table.with_suffix(".npz").read_bytes()
    table.write_bytes(stored)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    how=st.sampled_from(["cut", "flipped", "longer", "noise", "empty", "of numpy"]),
    which=st.integers(0, 2),
    seed=st.integers(0, 10**6),
)
def test_a_spoiled_table_is_made_again_without_a_word(folder, path, how, which, seed):
    read(path)
    table = sorted(folder.glob("*.table"))[which]
    good = table.read_bytes()
    spoil(table, how, np.random.default_rng(seed))
    np.testing.assert_array_equal(read(path), right(path))
    assert table.read_bytes() == good


@pytest.mark.parametrize("what", ["a folder", "a pipe", "a loop", "a device"])
def test_whatever_lies_in_the_place_of_a_table_it_is_made_again(folder, path, what):
    signal.alarm(60)  # it must not hang
    read(path)
    goods = {table: table.read_bytes() for table in tables(folder)}
    for table in goods:
        table.unlink()
        if what == "a folder":
            (table / "below").mkdir(parents=True)
        elif what == "a pipe":
            os.mkfifo(table)
        else:
            table.symlink_to(table if what == "a loop" else "/dev/zero")
    np.testing.assert_array_equal(read(path), right(path))
    assert {table: table.read_bytes() for table in tables(folder)} == goods
    signal.alarm(0)


def test_tables_that_were_swapped_are_not_used(folder):
    key, arrays = ["of the same files"], {"X": [np.arange(3)], "raw": [np.arange(4)]}
    for place, stored in arrays.items():
        cache.store_under(place, key, stored)
    one, other = (cache._path(folder, place) for place in arrays)
    assert np.array_equal(cache.load_under("raw", key), arrays["raw"])
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert [cache.load_under(place, key) for place in arrays] == [None, None]


def forge(path, name, arrays):
    """Store other arrays as the cache itself would."""
    cache.store(LocalFile(str(path)), name, arrays)


@pytest.mark.parametrize(
    "change",
    [
        lambda offsets, sizes, skipped: [offsets - 2**62, sizes, skipped],
        lambda offsets, sizes, skipped: [offsets + 2**40, sizes, skipped],
        lambda offsets, sizes, skipped: [offsets, sizes - 2**40, skipped],
        lambda offsets, sizes, skipped: [offsets, sizes + 2**62, skipped],
        lambda offsets, sizes, skipped: [offsets[:-1], sizes[:-1], skipped[:-1]],
        lambda offsets, sizes, skipped: [np.append(offsets, 0), sizes, skipped],
        lambda offsets, sizes, skipped: [offsets.astype("i4"), sizes, skipped],
        lambda offsets, sizes, skipped: [offsets.astype(">i8"), sizes, skipped],
        lambda offsets, sizes, skipped: [offsets, sizes],
        lambda *_: [],
    ],
)
@pytest.mark.parametrize("name", ["X/data", "X/indices"])
def test_a_forged_table_of_chunks_is_not_used(folder, path, name, change):
    table = hdf5.chunk_index_of(H5File(str(path)), name).table
    forge(path, f"chunks of {name}", change(*table.arrays))
    assert np.array_equal(hdf5.chunk_index_of(H5File(str(path)), name).table.offsets, table.offsets)
    np.testing.assert_array_equal(read(path), right(path))


@pytest.mark.parametrize(
    "change",
    [
        lambda lengths, firsts: [lengths + np.uint8(1), firsts],
        lambda lengths, firsts: [lengths, firsts + 1],
        lambda lengths, firsts: [lengths, firsts - 2**62],
        lambda lengths, firsts: [lengths.astype("i8"), firsts],
        lambda lengths, firsts: [lengths.astype(">u2"), firsts],
        lambda lengths, firsts: [lengths[:-1], firsts],
        lambda lengths, firsts: [lengths, firsts[:-1]],
        lambda lengths, firsts: [lengths.astype("u8") + np.uint64(2**63), firsts],
        lambda lengths, firsts: [np.roll(np.r_[lengths[:-2], np.uint8(0), np.uint8(12)], -35), firsts],
        lambda lengths, firsts: [np.r_[np.uint8(0), lengths[1:]], np.r_[6, firsts[1:]]],
        lambda lengths, firsts: [lengths],
        lambda lengths, firsts: [],
    ],
)
def test_a_forged_table_of_rows_is_not_used(folder, path, change):
    table = csr_matrix(H5File(str(path)), "X", (100, 9)).table
    forge(path, "rows of X/indptr", [*change(*table.arrays[:2]), *table.arrays[2:]])
    np.testing.assert_array_equal(csr_matrix(H5File(str(path)), "X", (100, 9)).table.lengths, table.lengths)
    np.testing.assert_array_equal(read(path), right(path))


@pytest.mark.parametrize(
    "header",
    [
        {"arrays": [["|O", 3]]},
        {"arrays": [["<i8", 2**62]]},
        {"arrays": [["<i8", -1]]},
        {"arrays": [["no type", 1]]},
        {"arrays": 7},
        {},
    ],
)
def test_a_header_that_says_other_things_is_not_believed(folder, path, header):
    read(path)
    file = LocalFile(str(path))
    for name in ("rows of X/indptr", "chunks of X/data"):
        key = [cache._place(file, name), *cache._key(file, name)]
        stored = json.dumps({"key": key, **header}).encode()
        start = cache_table._START.pack(cache_table._MARK, cache_table.checksum(stored), len(stored))
        cache._path(folder, cache._place(file, name)).write_bytes(start + stored)
        assert cache.load(file, name) is None
    np.testing.assert_array_equal(read(path), right(path))


def test_a_folder_that_cannot_be_made_or_written_is_no_cache(path, folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/1/no")):
        monkeypatch.setenv("SCDATASET_CACHE_DIR", str(place))
        np.testing.assert_array_equal(read(path), right(path))


def test_a_full_disk_leaves_nothing_behind(path, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    np.testing.assert_array_equal(read(path), right(path))
    assert tables(folder) == []


def test_the_oldest_go_when_there_are_too_many(tmp_path, folder, monkeypatch):
    file = LocalFile(str(write(tmp_path / "m.h5")))
    table = np.arange(1000)
    monkeypatch.setattr(cache, "_MAX_BYTES", 30_000)
    for number in range(10):
        cache.store(file, str(number), [table])
        os.utime(cache._path(folder, cache._place(file, str(number))), ns=(number, number))
        assert sum(path.stat().st_size for path in tables(folder)) < 31_000
    kept = [number for number in range(10) if cache.load(file, str(number)) is not None]
    assert kept == [7, 8, 9]
    cache.store(file, "large", [np.arange(10_000)])
    assert cache.load(file, "large") is None


def test_where_the_folder_is(monkeypatch, tmp_path):
    monkeypatch.delenv("SCDATASET_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache._folder() == tmp_path / "xdg" / "scdataset" / "tables"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache._folder() == tmp_path / ".cache" / "scdataset" / "tables"


STORES = """
import sys
import numpy as np
from scdataset.engine import cache, cache_table
from scdataset.engine.bytes.local import LocalFile
file = LocalFile(sys.argv[1])
for number in range(50):
    cache.store(file, "same", [np.full(20_000, number)])
    found = cache.load(file, "same")
    assert found is not None and (found[0] == found[0][0]).all()
"""


def test_processes_that_store_the_same_never_see_a_part_of_it(path, folder):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda code: output_of(code, path), [STORES, STORES]))
    assert len(tables(folder)) == 1
