"""What the garbage collector ends is ended by another thread, which may wait for the locks of the one that collects."""

import gc
import threading

from scdataset.engine import collecting


class Ending:
    def __init__(self, work):
        self.work, self.itself = work, self

    def __del__(self):
        collecting.end(self.work)


def test_work_is_done_at_once_where_nobody_collects():
    done = []
    collecting.end(lambda: done.append(threading.current_thread()))
    assert done == [threading.current_thread()]


def test_work_of_the_collector_is_done_by_the_thread():
    collecting.prepare()
    done, ended = [], threading.Event()
    Ending(lambda: (done.append(threading.current_thread().name), ended.set()))
    gc.collect()
    assert ended.wait(60)
    assert done == ["scdataset-end"]
