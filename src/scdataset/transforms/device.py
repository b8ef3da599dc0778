"""Batches on a GPU: the next one is on its way while the model works on this one.

    batch k + 1 ──► page-locked memory ─┐                          batch k ──► the model
    side stream                         └► normalised, logged ──► dense

A sparse matrix crosses the bus as CSR, many times smaller than dense, and is made dense on the device.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from scdataset._arguments import whole
from scdataset._types import RowData
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.csr_tensors import steps_on_device
from scdataset.transforms.cuda import CudaSender
from scdataset.transforms.torch import ToTorch, check_device, check_to_torch, is_there

__all__ = ["DeviceBatches", "to_device"]


def to_device(
    batches: Iterable[object],
    device: torch.device | str | int,
    depth: int = 1,
    *,
    to_torch: ToTorch | None = None,
    transform: Callable[[RowData], object] | None = None,
) -> "DeviceBatches":
    """Iterate over batches as tensors on a device, where the next ones arrive while the model works.

    To a CUDA device a sparse X goes as it is stored, from pinned memory and on a stream of its own, and is normalised
    and made dense there. To any other device batches go as ``to_torch`` makes them.

    Parameters
    ----------
    batches
        An `scDataset`, a DataLoader over one, or anything that gives such batches: `MultiIndexable`, dicts, AnnData
        (its X), matrices, arrays.
    device
        Such as ``"cuda"``.
    depth
        Batches that are on their way, besides the one that was given last. Each takes its own size on the device.
    to_torch
        How batches become tensors, its ``device`` left out; None for ``ToTorch()``.
    transform
        `NormalizeTotal`, `Log1p` or a `Compose` of them, applied to X on the device.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For a device that is not there, and for a ``transform`` of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> from scdataset import BlockShuffling, scDataset
    >>> from scdataset.transforms import Log1p
    >>> counts = np.random.default_rng(0).poisson(1, (40, 5))
    >>> dataset = scDataset(counts, BlockShuffling(2), batch_size=10, seed=0)
    >>> batches = to_device(dataset, "cpu", transform=Log1p())
    >>> len(batches), next(iter(batches)).dtype
    (4, torch.float32)
    """
    return DeviceBatches(batches, device, depth, ToTorch() if to_torch is None else to_torch, transform)


class DeviceBatches:
    """Batches on a device, as `to_device` makes them; each iteration is one of the batches that were given.

    Attributes
    ----------
    batches, depth, to_torch, transform
        As given.
    device
        The `torch.device`.
    """

    def __init__(
        self,
        batches: Iterable[object],
        device: torch.device | str | int,
        depth: int,
        to_torch: ToTorch,
        transform: Callable[[RowData], object] | None,
    ) -> None:
        if not hasattr(batches, "__iter__"):
            message = f"batches is of type {type(batches).__qualname__}; give an scDataset or a DataLoader over one."
            raise ArgumentTypeError(message)
        check_to_torch(to_torch)
        if to_torch.device is not None:
            message = f"to_torch has device={to_torch.device!r}; leave it out, as to_device sends what ToTorch makes."
            raise ArgumentValueError(message)
        self.batches, self.depth = batches, whole("depth", depth, minimum=1)
        self.device = _device(device)
        self.to_torch, self.transform = to_torch, transform
        self._steps = steps_on_device(transform)
        self._given = 0

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over tensors."""
        is_cuda = self.device.type == "cuda"
        send = CudaSender(self.device, self.to_torch, self._steps).send if is_cuda else self._send
        self._given = 0
        sent: deque[Callable[[], RowData]] = deque()
        for batch in self.batches:
            sent.append(send(batch))
            del batch
            if len(sent) > self.depth:
                yield self._received(sent)
        while sent:
            yield self._received(sent)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the dataset after the batches that were given, without those still being sent."""
        dataset: Any = getattr(self.batches, "dataset", self.batches)
        return dict(dataset.state_dict(self._given))

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Let the dataset go on from a state in the next iteration."""
        dataset: Any = getattr(self.batches, "dataset", self.batches)
        dataset.load_state_dict(state)

    def _received(self, sent: "deque[Callable[[], RowData]]") -> object:
        batch = sent.popleft()()
        self._given += 1
        return batch

    def _send(self, batch: object) -> Callable[[], object]:
        """Send a batch to a device without streams."""
        if self.transform is not None:
            batch = self.transform(batch)
        tensors = replace(self.to_torch, device=None if self.device.type == "cpu" else self.device)(batch)
        return lambda: tensors


def _device(wanted: object) -> torch.device:
    if isinstance(wanted, bool) or not isinstance(wanted, (torch.device, str, int)):
        message = f"device is of type {type(wanted).__qualname__}; give 'cuda', 'cpu' or a torch.device."
        raise ArgumentTypeError(message)
    check_device(wanted)
    if not is_there(wanted):
        message = f"device={wanted!r} is not on this machine; give one that is, such as 'cpu'."
        raise ArgumentValueError(message)
    return torch.device(wanted)
