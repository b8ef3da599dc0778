"""Threads and reusable memory of a collection, for all of its reads."""

from dataclasses import dataclass, field

from scdataset.engine.buffers import BufferPool
from scdataset.engine.threads import Threads

__all__ = ["ReadContext"]

_TASKS_PER_THREAD = 8
"""Tasks of a read for each thread, so that one that is slow keeps the others waiting for less."""


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Threads and reusable memory.

    An observer is no part of it: it belongs to a call, and the threads carry that of their caller; see `observing`.

    Attributes
    ----------
    threads
        They read and decode.
    buffers
        Results are made in them.
    """

    threads: Threads = field(default_factory=Threads)
    buffers: BufferPool = field(default_factory=BufferPool)

    @property
    def n_tasks(self) -> int:
        """Target number of tasks for one read."""
        count = self.threads.count
        return count * _TASKS_PER_THREAD if count > 1 else 1
