"""Output memory that is used again: a fresh array costs more in page faults than the copying into it."""

import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SlabPool"]

_SPARE = 4
"""Idle slabs that are kept: what is read ahead, what is in use, and a little."""

_GRAIN = 1 << 20
"""Sizes are rounded up to this many bytes."""

_SLACK = 8
"""A new slab is larger by one part in this many, so that the next window, a little larger, fits: memory that is never
touched takes up none."""


class _Lease:
    """Memory in use: every array over it keeps this alive, and its end gives the memory back."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.__array_interface__ = array.__array_interface__


class SlabPool:
    """Hands out memory and takes it back when the last view of it has died, never before.

    Memory comes back from wherever its last view dies: in another thread, or in the midst of any statement here, when
    the garbage collector finds a view. So there is no lock, which could be held then, or by a thread that a fork leaves
    behind; the single operations of a deque are atomic.
    """

    def __init__(self) -> None:
        self._idle: deque[NDArray[np.uint8]] = deque(maxlen=_SPARE)

    def empty(self, size: int, dtype: Any) -> NDArray[Any]:
        """Return an uninitialised array of ``size`` elements, shape ``(size,)``."""
        n_bytes = size * np.dtype(dtype).itemsize
        if n_bytes < _GRAIN:  # a fresh one costs little, and does not keep a slab from its return
            return np.empty(size, dtype)
        memory = self._take(-(-n_bytes // _GRAIN) * _GRAIN)
        lease = _Lease(memory[:n_bytes].view(dtype))
        weakref.finalize(lease, self._idle.append, memory).atexit = False
        # An array of just this size under the one that is returned: scipy copies what is a small part of its base.
        return np.asarray(lease)[:]

    def _take(self, n_bytes: int) -> NDArray[np.uint8]:
        for _ in range(len(self._idle)):
            try:
                memory = self._idle.popleft()
            except IndexError:  # another thread took it
                break
            if n_bytes <= memory.size <= 2 * n_bytes:
                return memory
            self._idle.append(memory)
        return np.empty(n_bytes + n_bytes // _SLACK, np.uint8)

    def __reduce__(self) -> tuple[type["SlabPool"], tuple[()]]:
        return SlabPool, ()
