"""Open files: replaced, changed, cut short or gone; in other processes; and none left open."""

import contextlib
import errno
import gc
import io
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.children import output_of

from scdataset.engine.buffers import BufferPool
from scdataset.engine.bytes import descriptors as pool
from scdataset.engine.bytes.descriptors import all_opened
from scdataset.engine.bytes.local import LocalFile, WaitingFile
from scdataset.engine.containers.hdf5 import H5File, csr_matrix
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError


def n_open():
    """Count open files of tests: what the test runner and torch hold comes and goes by itself."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed
            targets.append(str(link.readlink()))
    return sum("pytest" in target and "socket" not in target for target in targets)


@pytest.fixture(scope="module", autouse=True)
def only_files_of_these_tests():
    """Collect what earlier tests hold in cycles."""
    gc.collect()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.bin"
    path.write_bytes(bytes(range(100)))
    return path


def descriptor_of(file):
    with file.opened() as descriptor:
        return descriptor


def replace(path):
    other = path.with_suffix(".new")
    other.write_bytes(bytes(100))
    other.replace(path)


def change(path):
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))


def cut(path):
    os.truncate(path, 50)


def remove(path):
    path.unlink()


def make_loop(path):
    path.unlink()
    path.symlink_to(path)


def make_folder(path):
    path.unlink()
    path.mkdir()


HARM = [replace, change, cut, remove, make_loop, make_folder]


@pytest.mark.parametrize("harm", HARM)
def test_it_is_noticed_before_the_first_read(path, harm):
    file = LocalFile(str(path))
    harm(path)
    with pytest.raises(DamagedFileError, match=r"some\.bin (was replaced or changed|has vanished)"):
        file.read(0, 10)


def test_a_change_whose_time_was_set_back_is_noticed(path):
    file = LocalFile(str(path))
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # until the clock of the file system has gone on
        change(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamagedFileError, match=r"some\.bin was replaced or changed"):
        file.read(0, 10)


def test_another_mode_or_name_is_no_change(path):
    file = LocalFile(str(path))
    path.chmod(0o600)
    assert file.read(3, 3) == bytes([3, 4, 5])
    path.with_suffix(".link").hardlink_to(path)
    assert file.read(3, 3) == bytes([3, 4, 5])


@pytest.mark.parametrize("harm", HARM)
def test_it_is_noticed_in_the_next_read(path, harm):
    file = LocalFile(str(path))
    assert file.read(3, 3) == bytes([3, 4, 5])
    harm(path)
    with pytest.raises(DamagedFileError, match=r"some\.bin (was replaced or changed|has vanished)"):
        file.read(0, 10)
    file.close()


def test_a_file_that_was_copied_back_after_a_close_is_refused(path):
    file = LocalFile(str(path))
    file.read(0, 1)
    file.close()
    replace(path)
    with pytest.raises(DamagedFileError, match="was replaced or changed since"):
        file.read_unchecked(0, 1)


def test_a_read_over_the_end_gives_what_there_is(path):
    assert LocalFile(str(path)).read(98, 10) == bytes([98, 99])
    assert LocalFile(str(path)).size == 100


def test_close_closes_and_a_read_opens_again(path):
    file = LocalFile(str(path))
    before = n_open()
    for _ in range(3):
        file.read(0, 1)
        assert n_open() == before + 1
        file.close()
        file.close()
        assert n_open() == before


def test_a_fork_opens_its_own_and_leaves_its_parents_alone(path):
    file = LocalFile(str(path))
    mine = descriptor_of(file)
    child = os.fork()
    if child == 0:
        own = descriptor_of(file)
        file.close()
        still_open = os.pread(mine, 1, 7) == b"\7"
        os._exit(0 if own != mine and still_open else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert descriptor_of(file) == mine
    assert file.read(7, 1) == b"\7"


def test_a_pickled_one_opens_again_and_knows_what_it_was(path):
    file = LocalFile(str(path))
    file.read(0, 1)
    other = pickle.loads(pickle.dumps(file))
    assert other.read(0, 2) == b"\0\1"
    change(path)
    with pytest.raises(DamagedFileError):
        pickle.loads(pickle.dumps(file)).read_unchecked(0, 1)


def test_threads_that_open_at_once_open_once(path):
    before = n_open()
    for _ in range(10):
        file = LocalFile(str(path))
        barrier = threading.Barrier(4)
        seen = set()

        def opener(file=file, barrier=barrier, seen=seen):
            barrier.wait()
            seen.add(descriptor_of(file))

        openers = [threading.Thread(target=opener) for _ in range(4)]
        for each in openers:
            each.start()
        for each in openers:
            each.join()
        assert len(seen) == 1
        assert n_open() == before + 1
        file.close()


@pytest.fixture
def matrix_path(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        h5.create_dataset("X/data", data=np.arange(600, dtype="f4"), chunks=(50,), compression="gzip")
        h5["X/indices"] = np.arange(600) % 9
        h5["X/indptr"] = np.arange(0, 601, 6)
    return tmp_path / "m.h5"


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("harm", HARM)
def test_a_matrix_is_not_read_on_from_a_file_that_has_changed(matrix_path, harm, fallback):
    matrix = csr_matrix(H5File(str(matrix_path)), "X", (100, 9), fallback=fallback)
    matrix.read(np.arange(100), ReadContext(Threads(1)))
    harm(matrix_path)
    with pytest.raises(DamagedFileError, match=r"m\.h5"):
        matrix.read(np.arange(100), ReadContext(Threads(2)))


def test_hundreds_of_openings_leave_no_descriptor_and_no_thread_behind(matrix_path):
    buffers = BufferPool()
    descriptors, running = n_open(), threading.active_count()
    for number in range(200):
        file = H5File(str(matrix_path))
        matrix = csr_matrix(file, "X", (100, 9))
        if number % 20 == 0:
            threads = Threads(2)
            matrix.read(np.arange(100), ReadContext(threads, buffers))
            threads.close()
        matrix.close()
        file.close()
    assert n_open() <= descriptors
    assert threading.active_count() <= running  # less is what earlier tests held and has ended meanwhile


def many(tmp_path, n):
    for number in range(n):
        (tmp_path / f"{number}.bin").write_bytes(bytes([number]) * 100)
    return [LocalFile(str(tmp_path / f"{number}.bin")) for number in range(n)]


def test_no_more_files_are_open_than_a_system_allows(tmp_path, monkeypatch):
    most = n_open() + 5
    monkeypatch.setattr(pool, "most_open", lambda: most)
    opened, before = many(tmp_path, 40), n_open()
    wrong = []

    def reader(seed):
        numbers = np.random.default_rng(seed).integers(0, 40, 500).tolist()
        wrong.extend(number for number in numbers if opened[number].read_unchecked(3, 2) != bytes([number] * 2))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(reader, range(4)))
    assert not wrong
    assert n_open() <= before + most


def test_a_file_that_is_being_read_stays_open_until_it_has_been(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "most_open", lambda: 1)
    first, *others = many(tmp_path, 10)
    with first.opened() as descriptor:
        for other in others:
            other.read(0, 1)
        first.close()
        assert os.pread(descriptor, 1, 0) == b"\0"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pread(descriptor, 1, 0)


@pytest.mark.skipif(pool.resource is None, reason="the system has no such limit")
def test_half_of_the_descriptors_that_a_process_may_have_are_kept(monkeypatch):
    for allowed, kept in ((256, 128), (20_000, 10_000), (pool.resource.RLIM_INFINITY, 65_536)):
        monkeypatch.setattr(pool.resource, "getrlimit", lambda _, allowed=allowed: (allowed, allowed))
        assert pool.most_open() == kept


def test_idle_files_are_closed_for_another_where_the_user_has_all_other_descriptors(tmp_path, monkeypatch):
    *others, last = many(tmp_path, 6)
    for other in others:
        other.read(0, 1)
    before, open_now = n_open(), last.open_now

    def refused():
        if n_open() >= before:
            raise OSError(errno.EMFILE, "Too many open files")
        return open_now()

    monkeypatch.setattr(last, "open_now", refused)
    assert last.read(0, 1) == b"\x05"
    with all_opened(others) as descriptors:
        assert [os.pread(descriptor, 1, 0)[0] for descriptor in descriptors] == list(range(5))


def test_files_that_were_opened_before_one_that_is_gone_are_idle_again(tmp_path, monkeypatch):
    opened = many(tmp_path, 3)
    (tmp_path / "2.bin").unlink()
    with pytest.raises(DamagedFileError, match="has vanished"), all_opened(opened):
        raise AssertionError
    before = n_open()
    for file in opened:
        file.close()
    assert n_open() == before - 2


def test_forgotten_files_are_closed(path):
    before = n_open()
    for _ in range(10):
        LocalFile(str(path)).read(0, 1)
    assert n_open() == before


def test_a_file_that_outlives_its_modules_goes_without_a_word(tmp_path, monkeypatch):
    """As the interpreter ends, names in modules become None before some objects go."""
    (tmp_path / "a").write_text("cells")
    file = LocalFile(str(tmp_path / "a"))
    for name in ("close", "_OPEN"):
        monkeypatch.setattr(pool, name, None)
    file.__del__()


READER = """
import sys
from pathlib import Path
import numpy as np
from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.bytes.local import LocalFile
from scdataset.errors import DamagedFileError

n, begun, done, n_read = 1 << 15, Path(sys.argv[2]), Path(sys.argv[3]), 0
expected, out, start = np.arange(n, dtype=np.int32), np.empty(n, np.int32), np.zeros(1, np.int64)
while not (done.exists() and n_read):
    try:
        array = PlainArray(LocalFile(sys.argv[1]), "x", expected.dtype, n, start)
        array.read(Spans(start, start + n, start), out, ANY)
    except DamagedFileError:
        continue
    assert np.array_equal(out, expected)
    n_read += 1
    begun.touch()
print("ended")
"""


@pytest.mark.slow
def test_a_file_that_another_process_truncates_a_thousand_times_never_ends_its_reader(tmp_path):
    path, begun, done = (tmp_path / name for name in ("numbers", "begun", "done"))
    whole = np.arange(1 << 15, dtype=np.int32).tobytes()
    path.write_bytes(whole)
    rng = np.random.default_rng(0)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(output_of, READER, path, begun, done)
        while not (begun.exists() or reader.done()):
            time.sleep(0.01)
        for size in rng.integers(1, len(whole), size=1000).tolist():
            os.truncate(path, size)
            with path.open("r+b") as file:  # a file that is emptied first goes to the disk every time
                file.write(whole)
        done.touch()
        assert reader.result() == "ended\n"


def test_mapped_bytes_are_those_of_the_file_that_was_opened(path):
    mapped = LocalFile(str(path)).mapped()
    assert bytes(mapped) == bytes(range(100))
    file = LocalFile(str(path))
    replace(path)
    with pytest.raises(DamagedFileError, match=r"some\.bin was replaced or changed"):
        file.mapped()
    assert bytes(mapped) == bytes(range(100))
    path.write_bytes(b"")
    assert LocalFile(str(path)).mapped().nbytes == 0


def test_bytes_that_are_not_there_yet_are_an_error_and_not_nothing():
    ours, theirs = os.pipe2(os.O_NONBLOCK)
    try:
        with io.BufferedReader(WaitingFile(ours)) as file, pytest.raises(BlockingIOError):
            file.read(2)
    finally:
        os.close(theirs)
