"""Threads that read and decode."""

import os
import pickle
import threading

import pytest

from scdataset._cores import usable_cores
from scdataset.engine.threads import Threads


def of_ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("scdataset-read")]


@pytest.fixture
def threads():
    made = Threads(3)
    yield made
    made.close()


@pytest.mark.parametrize("n_parts", [0, 1, 2, 40, 1000])
def test_every_part_is_done_once(threads, n_parts):
    done = []
    threads.run(lambda number, _: done.append(number), [(number, None) for number in range(n_parts)])
    assert sorted(done) == list(range(n_parts))


def test_one_thread_is_the_callers_own():
    seen = set()
    Threads(1).run(lambda _: seen.add(threading.get_ident()), [(0,), (1,), (2,)])
    assert seen == {threading.get_ident()}


def test_an_error_is_raised_when_all_have_ended(threads):
    ended, failed = [], threading.Event()

    def work(number):
        if number in {2, 5}:
            failed.set()
            message = f"part {number}"
            raise ValueError(message)
        failed.wait()  # none ends before the first error
        ended.append(number)

    with pytest.raises(ValueError, match="part 2"):
        threads.run(work, [(number,) for number in range(8)])
    assert sorted(ended) == [0, 1, 3, 4, 6, 7]
    threads.run(ended.append, [(8,), (9,)])
    assert ended[-2:] in ([8, 9], [9, 8])


def test_close_ends_them_and_they_come_back(threads):
    before = len(of_ours())
    done = []
    for _ in range(3):
        threads.run(done.append, [(1,)] * 5)
        threads.close()
        assert len(of_ours()) == before
    threads.close()
    assert len(done) == 15


def test_work_given_meanwhile_is_done_when_they_are_closed(threads):
    done = []
    reader = threading.Thread(target=threads.run, args=(done.append, [(i,) for i in range(3, 1000)]))
    reader.start()
    for _ in range(50):
        threads.close()
        threads.run(done.append, [(-1,)] * 4)
    reader.join()
    assert sorted(part for part in done if part > 2) == list(range(3, 1000))
    assert done.count(-1) == 200


def test_they_work_after_a_fork(threads):
    threads.run(lambda _: None, [(1,)] * 5)
    child = os.fork()
    if child == 0:
        done = []
        threads.run(done.append, [(1,)] * 5)
        threads.close()
        os._exit(0 if len(done) == 5 else 1)
    assert os.waitpid(child, 0)[1] == 0
    threads.run(lambda _: None, [(1,)] * 5)


def test_cores_are_shared_among_processes():
    threads = Threads()
    assert threads.count == usable_cores() >= 1
    threads.share_among(1000)
    assert threads.count == 1
    threads.share_among(1)
    assert threads.count == usable_cores()


def test_a_given_count_is_kept_when_cores_are_shared(threads):
    threads.share_among(8)
    assert threads.count == 3


def test_they_pickle_as_their_count(threads):
    threads.run(lambda _: None, [(1,)] * 5)
    assert pickle.loads(pickle.dumps(threads)).count == 3


def test_threads_that_may_wait_for_a_store_are_not_waited_for(threads):
    answered, begun = threading.Event(), threading.Event()

    def work(_):
        begun.set()
        answered.wait()

    reader = threading.Thread(target=threads.run, args=(work, [(0,), (1,)]))
    reader.start()
    begun.wait()
    threads.close(waits=False)
    assert reader.is_alive()
    answered.set()
    reader.join()
    threads.run(lambda _: None, [(0,), (1,)])
