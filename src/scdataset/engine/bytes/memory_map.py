"""Files that are mapped into memory, from where rows are copied once, without a call that reads them.

The system ends a process (SIGBUS) that touches mapped bytes which it cannot provide: those of a file that another
process has cut short, or of a disk that fails. So it is asked first for the pages of every run, which it answers with
an error instead, and for the size of the file right before the run is copied. A file that is cut short within the
microseconds that are left still ends the process, and so nothing is mapped unless the user asks for it.
"""

import mmap
from weakref import WeakSet

import numpy as np

from scdataset.engine.kernels.gather import READS_COMPILED
from scdataset.engine.kernels.mapped import POPULATE_READ

__all__ = ["MemoryMap"]

_MOST_MAPS = 256
"""Maps of a process: each holds a descriptor."""

_MOST_BYTES = 1 << 34
"""Bytes of a file that stay mapped; page tables take a 512th of them."""


class MemoryMap:
    """A file in the memory of this process.

    Parameters
    ----------
    descriptor, size
        The open file, and its bytes.

    Attributes
    ----------
    octets
        All bytes of the file.
    asked
        For each page whether the system was asked for it, shape ``(n_pages,)``, uint8.
    n_asked
        Their number, shape ``(1,)``.

    Raises
    ------
    OSError, ValueError
        If the system does not map the file, or cannot be asked for pages, or has mapped enough files.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        if not READS_COMPILED or len(_ALIVE) >= _MOST_MAPS:
            message = "no compiled loops, or too many maps"
            raise ValueError(message)
        memory = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        memory.madvise(mmap.MADV_RANDOM)
        memory.madvise(POPULATE_READ, 0, 1)
        self.octets = np.frombuffer(memory, np.uint8)
        self.asked = np.zeros(-(-size // mmap.PAGESIZE), np.uint8)
        self.n_asked = np.zeros(1, np.int64)
        _ALIVE.add(self)

    @property
    def is_full(self) -> bool:
        """Whether so much of it was read that it is better mapped anew."""
        return int(self.n_asked[0]) * mmap.PAGESIZE > _MOST_BYTES


_ALIVE: WeakSet[MemoryMap] = WeakSet()
