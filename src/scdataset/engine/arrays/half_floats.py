"""Half floats of row-sparse matrices, delivered as single floats: scipy has no sparse matrices of half floats."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from scdataset._types import Array
from scdataset.engine.arrays.read_cost import ReadCost
from scdataset.engine.arrays.spans import Columns, Spans, scatter
from scdataset.engine.arrays.stored_arrays import StoredArray, Task
from scdataset.engine.observer import SCATTER, observed

__all__ = ["SingleFloats"]


class SingleFloats:
    """A stored array of float16 as an array of float32, each value the same.

    Parameters
    ----------
    stored
        The array of float16.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, stored: StoredArray) -> None:
        self._stored = stored

    @property
    def is_remote(self) -> bool:
        """Whether bytes come by requests; see `ByteSource`."""
        return self._stored.is_remote

    def tasks(self, spans: Spans, out: Array, columns: Columns, n_parts: int) -> list[Task]:
        """Return tasks that read spans side by side, the last of which converts them and puts them in their places."""
        packed = spans.packed()
        halves = np.empty(int(spans.lengths.sum()), np.float16)
        inner = self._stored.tasks(packed, halves, columns, n_parts)

        def finish() -> None:
            with observed(SCATTER):
                scatter(halves.astype(self.dtype), Spans(packed.places, spans.lengths, spans.places), out)

        work = _Countdown(inner, finish)
        return [(work, number, number + 1) for number in range(len(inner))]

    def announce(self, spans: Spans) -> int:
        """Tell the system that these spans will be read soon."""
        return self._stored.announce(spans)

    def read_cost(self, spans: Spans) -> ReadCost:
        """Return the cost of reading the stored half floats."""
        return self._stored.read_cost(spans)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self._stored.close()


class _Countdown:
    """Tasks that may run at the same time, and a call that follows the last of them."""

    def __init__(self, tasks: Sequence[Task], finish: Callable[[], None]) -> None:
        self._tasks = tasks
        self._finish = finish
        self._left = len(tasks)
        self._lock = threading.Lock()

    def __call__(self, first: int, last: int) -> None:
        """Run tasks [first, last), each of which runs once."""
        for work, *bounds in self._tasks[first:last]:
            work(*bounds)
        with self._lock:
            self._left -= last - first
            done = self._left == 0
        if done:
            self._finish()
