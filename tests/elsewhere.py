"""Clusters: one that is none, since its work is done here, and work that ends its process."""

import os
import pickle
import signal


class Elsewhere:
    """Sends work through a pickle and does it here, the last part first."""

    def __init__(self):
        self.n_items = 0

    def each(self, work, items):
        sent = pickle.loads(pickle.dumps(work))
        for number in reversed(range(len(items))):
            self.n_items += 1
            yield number, sent(pickle.loads(pickle.dumps(items[number])))


class Deadly:
    """Ends its process in the middle of an item, so often; each time a file in a folder says so."""

    def __init__(self, work, folder, item=None, times=1):
        self.work = work
        self.folder = folder
        self.item = item
        self.times = times

    def __call__(self, item):
        result = self.work(item)
        died = len(list(self.folder.iterdir()))
        if died < self.times and (self.item is None or self.item == item):
            (self.folder / str(died)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return result


class DeadlyEngine:
    """An engine whose work is deadly."""

    def __init__(self, engine, folder, **options):
        self.engine = engine
        self.folder = folder
        self.options = options
        folder.mkdir()

    def each(self, work, items):
        return self.engine.each(Deadly(work, self.folder, **self.options), items)
