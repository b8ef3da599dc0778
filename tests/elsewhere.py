"""A cluster that is none: work goes through a pickle and is done here, the last part first."""

import pickle


class Elsewhere:
    """Does as another process would."""

    def __init__(self):
        self.n_items = 0

    def each(self, work, items):
        sent = pickle.loads(pickle.dumps(work))
        for number in reversed(range(len(items))):
            self.n_items += 1
            yield number, sent(pickle.loads(pickle.dumps(items[number])), 1)
