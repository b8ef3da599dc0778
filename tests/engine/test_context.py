"""Threads and memory of reads."""

import pickle

from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads


def test_one_thread_does_a_read_in_one_task_and_several_get_more_tasks_than_they_are():
    assert ReadContext(Threads(1)).n_tasks == 1
    assert ReadContext(Threads(3)).n_tasks > 3


def test_a_process_that_gets_one_has_threads_and_memory_of_its_own():
    context = ReadContext(Threads(2))
    copied = pickle.loads(pickle.dumps(context))
    assert copied.threads.count == 2
    assert copied.threads is not context.threads
    assert copied.buffers is not context.buffers
