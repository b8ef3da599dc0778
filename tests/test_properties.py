"""Properties are computed once, and no process that is forked meanwhile waits for them."""

import os
import signal
import threading

import pytest

from scdataset._properties import cached_property


class Slow:
    """Has a property that is computed once it is let."""

    def __init__(self):
        self.begun, self.goes_on, self.n_computed = threading.Event(), threading.Event(), 0

    @cached_property
    def answer(self):
        self.begun.set()
        self.goes_on.wait()
        self.n_computed += 1
        return 42


def test_a_property_is_computed_once():
    slow = Slow()
    slow.goes_on.set()
    assert slow.answer == slow.answer == 42
    assert slow.n_computed == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_meanwhile_can_compute_it_too():
    slow = Slow()
    thread = threading.Thread(target=lambda: slow.answer)
    thread.start()
    slow.begun.wait()
    if not (child := os.fork()):
        signal.alarm(60)  # ends a child that hangs
        other = Slow()
        other.goes_on.set()
        os._exit(0 if other.answer == 42 else 1)
    slow.goes_on.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
