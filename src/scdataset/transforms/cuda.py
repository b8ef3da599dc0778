"""Batches to a CUDA device, on a stream of its own.

tensors ──► one pinned buffer ──► one copy ──► X normalised, logged, dense ──► the current stream
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch

from scdataset.collections.rows import as_rows, take_rows
from scdataset.transforms.compose import Compose
from scdataset.transforms.counts import NormalizeTotal
from scdataset.transforms.csr_tensors import CsrTensors, changed_on_device
from scdataset.transforms.matrices import is_sparse, matrix_of
from scdataset.transforms.torch import ToTorch
from scdataset.transforms.totals import key_of_totals, total_counts

__all__ = ["CudaSender"]

_ALIGNMENT = 128
"""Bytes at whose multiples arrays begin, for the widest loads of a GPU."""

_TRIED = 16
"""Rows by which a transform tells the kind of values."""


class CudaSender:
    """Sends batches to a CUDA device on a stream of its own.

    Parameters
    ----------
    steps
        What is done to X there.
    """

    def __init__(self, device: torch.device, to_torch: ToTorch, steps: Sequence[Any]) -> None:
        self._device, self._to_torch, self._steps = device, to_torch, steps
        self._stream = torch.cuda.Stream(device)
        self._pinned: deque[tuple[torch.Tensor, torch.cuda.Event]] = deque()

    def send(self, batch: Any) -> Callable[[], Any]:
        """Begin to send a batch; return a function that gives it to the current stream."""
        if self._steps:
            _check(self._steps, batch)
        of_sparse = CsrTensors.of if self._to_torch.layout == "dense" else self._to_torch
        tensors = _mapped(self._to_torch.tensors(batch, of_sparse), _opened)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            made = self._made(self._arrived(tensors))
            done = torch.cuda.Event()
            done.record()

        def receive() -> Any:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(done)
            for part in _parts(made):
                part.record_stream(current)
            return made

        return receive

    def _arrived(self, tensors: Any) -> Any:
        """Copy all that is in memory together, and return it on the device."""
        parts = list(_parts(tensors))
        ends = list(accumulate(-(-part.nbytes // _ALIGNMENT) * _ALIGNMENT for part in parts))
        n_bytes = ends[-1] if ends else 0
        pinned = self._memory(n_bytes)
        starts = [0, *ends]
        for part, start in zip(parts, starts, strict=False):
            _view(pinned, start, part).copy_(part)
        there = pinned[:n_bytes].to(self._device, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        self._pinned.append((pinned, copied))
        places = iter(starts)
        return _mapped(tensors, lambda part: _of_parts(part, lambda one: _view(there, next(places), one)))

    def _memory(self, n_bytes: int) -> torch.Tensor:
        """Return pinned memory that nothing is copied from any longer."""
        while self._pinned and self._pinned[0][1].query():
            memory, _ = self._pinned.popleft()
            if memory.numel() >= n_bytes:
                return memory
        return torch.empty(n_bytes + n_bytes // 8, dtype=torch.uint8, pin_memory=True)

    def _made(self, arrived: Any, name: str | int = "X", beside: Mapping[Any, Any] | None = None) -> Any:
        """Return what arrived in its last form, over no memory but its own."""
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


def _opened(tensor: Any) -> Any:
    return CsrTensors.of_tensor(tensor) if getattr(tensor, "layout", None) is torch.sparse_csr else tensor


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return the same nesting of tensors, each changed."""
    if isinstance(value, Mapping):
        return {name: _mapped(member, change) for name, member in value.items()}
    return change(value)


def _of_parts(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return value.with_parts(change) if isinstance(value, CsrTensors) else change(value)


def _parts(value: Any) -> Iterator[torch.Tensor]:
    """Yield the strided tensors in a nesting, in a fixed order."""
    if isinstance(value, Mapping):
        for member in value.values():
            yield from _parts(member)
    else:
        opened = _opened(value)
        yield from opened.parts if isinstance(opened, CsrTensors) else (opened,)


def _check(steps: Sequence[Any], batch: Any) -> None:
    """Let transforms refuse values as they do in memory: by some rows, or by all where there is a doubt."""
    matrix = matrix_of(batch, "to_device")
    values = matrix.data if is_sparse(matrix) else matrix
    for step in steps:
        if isinstance(step, NormalizeTotal) and key_of_totals(batch, step.key) is not None:
            total_counts("NormalizeTotal", matrix, batch, step.key)
    is_plain = not values.size or 0 <= values.min() <= values.max() < np.inf
    window = as_rows(batch, matrix.shape[0]) if is_plain else None
    Compose(*steps)(batch if window is None else take_rows(window, slice(0, min(_TRIED, matrix.shape[0]))))
