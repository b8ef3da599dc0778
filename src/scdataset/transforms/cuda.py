"""Batches to a CUDA device, on a stream of its own.

    page-locked windows ───────────┐
    all else ──► a pinned buffer ──┴──► X normalised, logged, dense ──► the current stream

From the first batch on, memory of windows is page-locked, so that a device copies from it by itself.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch

from scdataset._types import Array, RowData
from scdataset.collections.rows import as_rows, take_rows
from scdataset.engine.buffers import lock_pages
from scdataset.errors import ArgumentValueError
from scdataset.transforms.compose import Compose
from scdataset.transforms.counts import NormalizeTotal
from scdataset.transforms.csr_tensors import Beside, CsrTensors, OnDevice, changed_on_device
from scdataset.transforms.matrices import is_sparse, matrix_of
from scdataset.transforms.torch import ToTorch, mapped
from scdataset.transforms.totals import key_of_totals, total_counts

__all__ = ["CudaSender"]

_ALIGNMENT = 128
"""Bytes at whose multiples arrays begin, for the widest loads of a GPU."""

_WORTH_A_COPY = 1 << 16
"""Bytes from which on a tensor is copied alone."""

_PORTABLE = 1
"""Flag of ``cudaHostRegister``: for all devices."""

_TRIED = 16
"""Rows that a transform looks at to tell the kind of values."""

_KIND_EVERY = 16
"""Batches after which it looks again."""


class CudaSender:
    """Sends batches to a CUDA device on a stream of its own.

    Parameters
    ----------
    steps
        The transforms of X there.
    """

    def __init__(self, device: torch.device, to_torch: ToTorch, steps: Sequence[object]) -> None:
        if device.index is None:  # by another thread's current device it could be another one
            device = torch.device("cuda", torch.cuda.current_device())
        self._device, self._to_torch, self._steps = device, to_torch, steps
        self._stream = torch.cuda.Stream(device)
        self._sources: deque[tuple[torch.Tensor, list[torch.Tensor], torch.cuda.Event]] = deque()
        self._n_sent = 0
        lock_pages(partial(_lock, os.getpid(), device))

    def send(self, batch: object) -> Callable[[], RowData]:
        """Begin to send a batch; return a function that gives it to the current stream."""
        if self._steps:
            _check(self._steps, batch, tells_kind=self._n_sent % _KIND_EVERY == 0)
        self._n_sent += 1
        of_sparse = CsrTensors.from_csr if self._to_torch.layout == "dense" else self._to_torch
        tensors = mapped(self._to_torch.tensors(batch, of_sparse), _opened)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            made = self._made(self._arrived(tensors))
            done = torch.cuda.Event()
            done.record()

        def receive() -> RowData:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(done)
            for part in _parts(made):
                part.record_stream(current)
            return made

        return receive

    def _arrived(self, tensors: RowData) -> RowData:
        """Return tensors on the device: each copied from its own pages if they are locked, and all others together."""
        parts = list(_in_memory(_parts(tensors)))
        are_locked = [part.nbytes >= _WORTH_A_COPY and part.is_pinned() for part in parts]
        sizes = (0 if locked else part.nbytes for part, locked in zip(parts, are_locked, strict=True))
        starts = [0, *accumulate(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)]
        pinned = self._memory(starts[-1])
        for part, locked, start in zip(parts, are_locked, starts, strict=False):
            if not locked:
                _view(pinned, start, part).copy_(part)
        there = pinned[: starts[-1]].to(self._device, non_blocking=True)
        arrived = iter(
            [
                part.to(self._device, non_blocking=True) if locked else _view(there, start, part)
                for part, locked, start in zip(parts, are_locked, starts, strict=False)
            ]
        )
        copied = torch.cuda.Event()
        copied.record()
        self._sources.append((pinned, parts, copied))
        return mapped(tensors, lambda part: _of_parts(part, lambda _: next(arrived)))

    def _memory(self, n_bytes: int) -> torch.Tensor:
        """Return pinned memory that nothing is copied from any longer."""
        found = None
        while self._sources and self._sources[0][2].query():
            memory, _, _ = self._sources.popleft()
            if memory.numel() >= n_bytes:
                found = memory
        if found is None:
            found = torch.empty(n_bytes + n_bytes // 8, dtype=torch.uint8, device="cpu", pin_memory=True)
        return found

    def _made(self, arrived: Any, name: str | int = "X", beside: Beside | None = None) -> RowData:
        """Return the tensors that arrived in their last form, over no memory but their own."""
        if isinstance(arrived, Mapping):
            return {name: self._made(member, name, arrived) for name, member in arrived.items()}
        steps = self._steps if name == "X" else ()
        arrived = changed_on_device(steps, arrived, beside or {})
        if not isinstance(arrived, CsrTensors):
            return arrived if steps else arrived.clone()
        dtype = self._to_torch.dtype
        return arrived.dense(dtype) if self._to_torch.layout == "dense" else arrived.tensor(dtype)


def _view(memory: torch.Tensor, start: int, like: torch.Tensor) -> torch.Tensor:
    return memory[start : start + like.nbytes].view(like.dtype).view(like.shape)


def _opened(tensor: torch.Tensor) -> OnDevice:
    return CsrTensors.from_tensor(tensor) if getattr(tensor, "layout", None) is torch.sparse_csr else tensor


def _of_parts(value: OnDevice, change: Callable[[torch.Tensor], torch.Tensor]) -> OnDevice:
    return value.with_parts(change) if isinstance(value, CsrTensors) else change(value)


def _parts(value: Any) -> Iterator[torch.Tensor]:
    """Yield the strided tensors in a nesting, in a fixed order."""
    if isinstance(value, Mapping):
        for member in value.values():
            yield from _parts(member)
    else:
        opened = _opened(value)
        yield from opened.parts if isinstance(opened, CsrTensors) else (opened,)


def _in_memory(parts: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield tensors; raise for one that is on a device, where another stream may still be writing it."""
    for part in parts:
        if part.device.type != "cpu":
            message = f"A batch has tensors on {part.device}, and to_device sends those in memory; leave device out."
            raise ArgumentValueError(message)
        yield part


def _check(steps: Sequence[Any], batch: object, *, tells_kind: bool) -> None:
    """Let transforms refuse values as they do in memory.

    Parameters
    ----------
    tells_kind
        Whether to look at some rows for the kind of values, besides whether all are finite and none is negative.
    """
    matrix = matrix_of(batch, "to_device")
    values = matrix.data if is_sparse(matrix) else matrix
    for step in steps:
        if isinstance(step, NormalizeTotal) and key_of_totals(batch, step.key) is not None:
            total_counts("NormalizeTotal", matrix, batch, step.key)
    if values.size and not _are_finite_and_not_negative(values):
        Compose(*steps)(batch)
    elif tells_kind:
        window = as_rows(batch, matrix.shape[0])
        Compose(*steps)(batch if window is None else take_rows(window, slice(0, min(_TRIED, matrix.shape[0]))))


def _are_finite_and_not_negative(values: Array) -> bool:
    if values.dtype.kind == "f" and values.flags.c_contiguous:  # one look at bits, where these are the smallest
        bits = values.view(f"u{values.itemsize}")
        return bool(bits.max() < values.dtype.type(np.inf).view(bits.dtype))
    return bool(0 <= values.min() <= values.max() < np.inf)


@dataclass(frozen=True)
class _PageLocked:
    """Memory of this process whose pages are locked for all CUDA devices."""

    address: int
    pid: int

    def wait(self) -> None:
        """Wait for all devices that this process has memory on; a forked one has none."""
        if os.getpid() == self.pid:
            for index in range(torch.cuda.device_count()):
                if torch.cuda.memory_reserved(index):
                    torch.cuda.synchronize(index)

    def unlock(self) -> None:
        """Unlock the pages."""
        if os.getpid() == self.pid:
            torch.cuda.cudart().cudaHostUnregister(self.address)


def _lock(pid: int, device: torch.device, address: int, n_bytes: int) -> _PageLocked | None:
    """Lock the pages of some memory."""
    if os.getpid() != pid:
        return None
    with torch.cuda.device(device):
        failed = int(torch.cuda.cudart().cudaHostRegister(address, n_bytes, _PORTABLE))
    return None if failed else _PageLocked(address, pid)
