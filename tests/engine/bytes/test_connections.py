"""Threads that wait for responses: how many there are, what they raise, and that a process ends without them."""

import json
import threading
from concurrent.futures import wait

import pytest
from tests.children import run

pytest.importorskip("obstore")

from scdataset.engine.bytes import connections
from scdataset.errors import UnreachableStoreError
from scdataset.testing.object_server import Fault


def test_results_and_errors_come_from_the_request():
    assert connections.submit(lambda: 3).result() == 3
    with pytest.raises(ZeroDivisionError):
        connections.submit(lambda: 1 / 0).result()


def test_no_more_threads_are_begun_than_there_are_requests_at_once():
    made = connections._Connections("of-tests", connections.MOST)
    for _ in range(20):
        future = connections.Future()
        made.submit(future, int)
        future.result()
        while not made._idle._value:  # the thread is about to wait for the next one
            pass
    assert made._n_threads == 1


def test_requests_beyond_the_most_at_once_wait_for_others():
    gate, made = threading.Event(), connections._Connections("of-tests", connections.MOST)
    futures = [connections.Future() for _ in range(connections.MOST + 5)]
    for future in futures:
        made.submit(future, gate.wait)
    assert made._n_threads == connections.MOST
    gate.set()
    assert all(future.result() for future in futures)


def test_at_the_end_requests_are_given_up_and_none_is_begun(monkeypatch):
    monkeypatch.setattr(connections, "_GRACE", 0.0)
    gate, made = threading.Event(), connections._Connections("of-tests", connections.MOST)
    futures = [connections.Future() for _ in range(connections.MOST + 5)]
    for future in futures:
        made.submit(future, gate.wait)
    made.end()
    futures.append(connections.Future())
    made.submit(futures[-1], gate.wait)
    assert not wait(futures, 60).not_done
    for future in futures:
        with pytest.raises(UnreachableStoreError, match="the process ends"):
            future.result()
    gate.set()


@pytest.mark.parametrize("fault", [None, ZeroDivisionError, "cancelled"])
def test_what_follows_requests_is_done_once_all_are_answered_and_none_failed(fault):
    gate, done = threading.Event(), threading.Event()
    requests = [connections.submit(gate.wait), connections.Future()]
    connections.after(requests, done.set)
    gate.set()
    wait(requests[:1])
    assert not done.is_set()
    if fault is None:
        requests[1].set_result(None)
    elif fault == "cancelled":
        requests[1].cancel()
    else:
        requests[1].set_exception(fault())
    later = threading.Event()
    connections.after([connections.submit(int)], later.set)  # one thread does both, in their order
    assert later.wait(60)
    assert done.is_set() is (fault is None)


READING = """
import json, sys
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.bytes.remote import RemoteFile

with using_options(json.loads(sys.argv[2])):
    file = RemoteFile(sys.argv[1])
file.announce(np.array([2_000_000, 4_000_000]), np.array([10, 10]))
ThreadPoolExecutor(1).submit(file.read, 6_000_000, 10)
print("the last line")
"""


def test_a_process_ends_while_a_store_does_not_answer(server):
    gate = threading.Event()
    server.fault = lambda number, _request: Fault(before=gate.wait) if number else None
    try:
        done = run(READING, server.s3("a/x.bin"), json.dumps(server.options))
    finally:
        gate.set()
    assert (done.status, done.out) == (0, "the last line\n"), done.error
